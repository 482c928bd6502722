// SPDX-License-Identifier: GPL-2.0-or-later
/* Content hashes. */
#include <openssl/sha.h>

#include "store/hash.h"

int ckpt_hash_of(const void *data, size_t len, struct ckpt_hash *ret)
{
	return SHA256(data, len, ret->b) ? 0 : -1;
}

__attribute__((target("sse4.2")))
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t sum = crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		sum = __builtin_ia32_crc32di(sum, word);
	}
	crc = sum;
	for (; len; p++, len--)
		crc = __builtin_ia32_crc32qi(crc, *p);
	return crc;
}

static uint32_t crc_software(uint32_t crc, const uint8_t *p, size_t len)
{
	/* Remainders of the 16 half bytes by the reflected polynomial 0x82f63b78. */
	static const uint32_t half[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (; len; p++, len--) {
		crc ^= *p;
		crc = half[crc & 15] ^ crc >> 4;
		crc = half[crc & 15] ^ crc >> 4;
	}
	return crc;
}

uint32_t ckpt_crc32c(uint32_t crc, const void *data, size_t len)
{
	crc = ~crc;
	if (__builtin_cpu_supports("sse4.2"))
		crc = crc_hardware(crc, data, len);
	else
		crc = crc_software(crc, data, len);
	return ~crc;
}

void ckpt_hex(const void *data, size_t len, char *ret)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (; len; p++, len--) {
		*ret++ = digit[*p >> 4];
		*ret++ = digit[*p & 15];
	}
	*ret = 0;
}

static int value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int ckpt_unhex(const char *text, void *ret, size_t len)
{
	uint8_t *p = ret;

	for (; len; p++, text += 2, len--) {
		int high = value(text[0]);
		int low = high < 0 ? -1 : value(text[1]);

		if (low < 0)
			return -1;
		*p = high << 4 | low;
	}
	return 0;
}
