// SPDX-License-Identifier: GPL-2.0-or-later
/* Made vdsos, and the one of this kernel. */
#include <elf.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "lib/vdso_made.h"
#include "proc/build.h"

void vdso_made(uint8_t *data, size_t len, const struct vdso_function *list)
{
	Elf64_Ehdr head = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_shoff = VDSO_MADE_SECTIONS,
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 4,
	};
	Elf64_Shdr sections[4] = {
		[1] = { .sh_type = SHT_DYNSYM, .sh_flags = SHF_ALLOC, .sh_link = 2,
			.sh_addr = VDSO_MADE_SYMBOLS, .sh_offset = VDSO_MADE_SYMBOLS },
		[2] = { .sh_type = SHT_STRTAB, .sh_flags = SHF_ALLOC,
			.sh_addr = VDSO_MADE_NAMES, .sh_offset = VDSO_MADE_NAMES },
		[3] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
			.sh_addr = VDSO_MADE_TEXT, .sh_offset = VDSO_MADE_TEXT,
			.sh_size = VDSO_MADE_END - VDSO_MADE_TEXT },
	};
	Elf64_Sym symbols[32] = { { 0 } };
	size_t n = 1, names = 1;

	memset(data, 0, len);
	memset(data + VDSO_MADE_TEXT, 0xcc, VDSO_MADE_END - VDSO_MADE_TEXT);
	for (; list->name; list++, n++) {
		symbols[n] = (Elf64_Sym){ .st_name = names, .st_shndx = 3, .st_size = 16,
					  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
					  .st_value = list->at };
		strcpy((char *)data + VDSO_MADE_NAMES + names, list->name);
		names += strlen(list->name) + 1;
	}
	/* a version is no function */
	symbols[n++] = (Elf64_Sym){ .st_shndx = SHN_ABS,
				    .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT) };
	sections[1].sh_size = n * sizeof(symbols[0]);
	sections[2].sh_size = names;
	memcpy(data, &head, sizeof(head));
	memcpy(data + VDSO_MADE_SYMBOLS, symbols, sections[1].sh_size);
	memcpy(data + VDSO_MADE_SECTIONS, sections, sizeof(sections));
}

void vdso_own(struct ckpt_vdso_code *ret)
{
	struct ckpt_vdso v;

	assert_int_equal(ckpt_vdso_survey(getpid(), &v, NULL), 0);
	assert_null(ckpt_vdso_parse((void *)(v.base + v.part[v.n - 1].offset),
				    v.part[v.n - 1].len, ret));
}

uint64_t vdso_own_at(const char *name)
{
	struct ckpt_vdso_code own;

	vdso_own(&own);
	for (size_t i = 0; i < own.n; i++) {
		if (!strcmp(own.symbol[i].name, name))
			return own.symbol[i].at;
	}
	return 0;
}

void vdso_own_places(struct vdso_function ret[VDSO_FUNCTIONS])
{
	static const char *const names[] = {
		"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu",
		"__vdso_clock_getres", "__vdso_getrandom",
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (vdso_own_at(names[i]))
			ret[n++] = (struct vdso_function){ names[i], vdso_own_at(names[i]) };
	}
	ret[n] = (struct vdso_function){ 0 };
}

void vdso_hash_again(struct ckpt_image *image)
{
	SHA256(image->vdso, image->vdso_len, image->vdso_hash);
}

void vdso_exchange(struct ckpt_image *image, const struct vdso_function *list)
{
	assert_true(image->vdso_len >= VDSO_MADE_LEN);
	vdso_made(image->vdso, image->vdso_len, list);
	vdso_hash_again(image);
}

uint64_t vdso_place(const struct ckpt_mm *mm)
{
	for (size_t i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].kind == CKPT_AREA_KIND_VDSO)
			return mm->areas[i].start;
	}
	return 0;
}
