// As much of JSON (RFC 8259) as a small API needs: strings are made and found, all else is passed over.
#include "text.h"

#include <stdlib.h>
#include <string.h>

// How deep a document may nest.
#define DEEPEST 32

// What is left of a document.
typedef struct {
	const char *at, *end;
} cursor;

text json_quoted(text plain)
{
	static const char HEX[] = "0123456789abcdef";
	text out = {malloc(plain.len * 6 + 2), 0};
	if (!out.at)
		abort();
	out.at[out.len++] = '"';
	for (size_t n = 0; n < plain.len; n++) {
		uint8_t byte = plain.at[n];
		if (byte < 0x20 || byte == '"' || byte == '\\') {
			const char escape[] = {'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]};
			memcpy(out.at + out.len, escape, sizeof escape);
			out.len += sizeof escape;
		} else {
			out.at[out.len++] = byte;
		}
	}
	out.at[out.len++] = '"';
	return out;
}

// Passes over a character, if it is next.
static bool take(cursor *c, char wanted)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at))
		c->at++;
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

// The character of `\uXXXX`, or a question mark for one beyond ASCII.
static bool take_hex(cursor *c, char *out)
{
	char digits[5] = {0}, *end;
	if (c->end - c->at < 4)
		return false;
	memcpy(digits, c->at, 4);
	c->at += 4;
	unsigned long code = strtoul(digits, &end, 16);
	*out = code < 0x80 ? (char)code : '?';
	return end == digits + 4;
}

static bool take_string(cursor *c, text *out)
{
	static const char ESCAPES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
	if (!take(c, '"'))
		return false;
	*out = (text){malloc((size_t)(c->end - c->at) + 1), 0};
	if (!out->at)
		abort();
	while (c->at < c->end && *c->at != '"') {
		char next = *c->at++;
		if (next == '\\') {
			if (c->at == c->end)
				return false;
			next = *c->at++;
			const char *escape = next ? strchr(ESCAPES, next) : NULL;
			if (next == 'u') {
				if (!take_hex(c, &next))
					return false;
			} else if (escape) {
				next = MEANT[escape - ESCAPES];
			} else {
				return false;
			}
		}
		out->at[out->len++] = next;
	}
	return take(c, '"');
}

static bool pass(cursor *c, int depth);

// Goes to what is under a name, or to the `n`th member if there is no name to look for; `name` is the one it is under.
static bool enter_object(cursor *c, const char *wanted, size_t nth, text *name, int depth)
{
	if (!take(c, '{'))
		return false;
	for (size_t n = 0; take_string(c, name) && take(c, ':'); n++) {
		if (wanted ? is(*name, (text){(char *)wanted, strlen(wanted)}) : n == nth)
			return true;
		if (!pass(c, depth) || !take(c, ','))
			return false;
	}
	return false;
}

static bool enter_list(cursor *c, size_t nth, int depth)
{
	if (!take(c, '['))
		return false;
	for (size_t n = 0; n < nth; n++)
		if (!pass(c, depth) || !take(c, ','))
			return false;
	return true;
}

// Passes over a value.
static bool pass(cursor *c, int depth)
{
	text ignored;
	if (depth > DEEPEST)
		return false;
	cursor before = *c;
	if (take(c, '{')) {
		if (take(c, '}'))
			return true;
		while (take_string(c, &ignored) && take(c, ':') && pass(c, depth + 1))
			if (!take(c, ','))
				return take(c, '}');
		return false;
	}
	if (take(c, '[')) {
		if (take(c, ']'))
			return true;
		while (pass(c, depth + 1))
			if (!take(c, ','))
				return take(c, ']');
		return false;
	}
	if (take(c, '"')) {
		*c = before;
		return take_string(c, &ignored);
	}
	// A number, true, false or null: up to what ends one.
	const char *start = c->at;
	while (c->at < c->end && !strchr(",]} \t\r\n", *c->at))
		c->at++;
	return c->at > start;
}

bool json_string(text document, const char *const *path, text *found)
{
	cursor c = {document.at, document.at + document.len};
	text name;
	for (; *path; path++) {
		bool is_item = **path >= '0' && **path <= '9';
		if (is_item ? !enter_list(&c, (size_t)atoi(*path), 0) : !enter_object(&c, *path, 0, &name, 0))
			return false;
	}
	return take_string(&c, found);
}

bool json_name(text document, size_t n, text *name)
{
	cursor c = {document.at, document.at + document.len};
	return enter_object(&c, NULL, n, name, 0);
}
