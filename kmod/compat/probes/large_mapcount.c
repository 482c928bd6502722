// SPDX-License-Identifier: GPL-2.0
/* 6.11 API change: the map count of a large folio is one counter. */
#include <linux/mm.h>

int probe(struct folio *folio);
int probe(struct folio *folio)
{
	return folio_large_mapcount(folio);
}
