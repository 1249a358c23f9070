// HTTP requests by wasi:http.
#pragma once
#include "text.h"

// Sends JSON. True if anything was answered, whatever it is; else `answer` says why not.
bool post(text url, text path, text body, uint16_t *status, text *answer);
