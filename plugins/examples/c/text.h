// Texts: bytes that are never freed, for an instance lasts for one call.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	char *at;
	size_t len;
} text;

#define T(literal) ((text){(char *)(literal), sizeof(literal) - 1})
#define CAT(...) cat((text[]){__VA_ARGS__}, sizeof((text[]){__VA_ARGS__}) / sizeof(text))

// The parts, one after the other.
text cat(const text *parts, size_t count);
bool is(text one, text other);
bool starts_with(text whole, text start);
// A number in decimal.
text decimal(uint32_t number);
// Base64 (RFC 4648 section 4) in lines of so many characters, or as one text where `line` is 0.
text base64(text bytes, size_t line);
// As far as they are ASCII, the others as question marks; at most `len` of them. What a component returns must be UTF-8.
text ascii(text bytes, size_t len);

// A string of JSON, in quotation marks.
text json_quoted(text plain);
// The string at a path of names and, for items of lists, of digits, which ends with NULL. False where there is none, or no
// JSON.
bool json_string(text document, const char *const *path, text *found);
// The name of the `n`th member of an object. False where there is none.
bool json_name(text document, size_t n, text *name);
