#include "text.h"

#include <stdlib.h>
#include <string.h>

text cat(const text *parts, size_t count)
{
	size_t len = 0;
	for (size_t n = 0; n < count; n++)
		len += parts[n].len;
	text all = {malloc(len + 1), 0};
	if (!all.at)
		abort();
	for (size_t n = 0; n < count; n++) {
		if (parts[n].len)
			memcpy(all.at + all.len, parts[n].at, parts[n].len);
		all.len += parts[n].len;
	}
	return all;
}

bool is(text one, text other)
{
	return one.len == other.len && starts_with(one, other);
}

bool starts_with(text whole, text start)
{
	return whole.len >= start.len && memcmp(whole.at, start.at, start.len) == 0;
}

text decimal(uint32_t number)
{
	char digits[10];
	size_t at = sizeof digits;
	do
		digits[--at] = '0' + number % 10;
	while (number /= 10);
	return CAT((text){digits + at, sizeof digits - at});
}

text base64(text bytes, size_t line)
{
	static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t most = (bytes.len + 2) / 3 * 4;
	text out = {malloc(most + (line ? most / line : 0) + 1), 0};
	size_t written = 0;
	if (!out.at)
		abort();
	for (size_t at = 0; at < bytes.len; at += 3) {
		uint32_t group = 0;
		for (size_t n = 0; n < 3; n++)
			group = group << 8 | (at + n < bytes.len ? (uint8_t)bytes.at[at + n] : 0);
		for (size_t n = 0; n < 4; n++) {
			out.at[out.len++] = at + n > bytes.len ? '=' : ALPHABET[group >> (18 - 6 * n) & 63];
			if (line && ++written % line == 0)
				out.at[out.len++] = '\n';
		}
	}
	if (line && written % line)
		out.at[out.len++] = '\n';
	return out;
}

text ascii(text bytes, size_t len)
{
	text out = CAT((text){bytes.at, bytes.len < len ? bytes.len : len});
	for (size_t n = 0; n < out.len; n++)
		if ((uint8_t)out.at[n] > 0x7e)
			out.at[n] = '?';
	return out;
}
