#include "http.h"

#include <string.h>

#include "author.h"

// What a stream takes at once.
#define CHUNK 4096
// More than the operator lets through of an answer, to ask for as much as there is.
#define PART 65536

static author_string_t string(text t) { return (author_string_t){(uint8_t *)t.at, t.len}; }
static author_list_u8_t bytes(text t) { return (author_list_u8_t){(uint8_t *)t.at, t.len}; }

// What a reader can mend, of the errors that wasi:http knows.
static text reason(const wasi_http_types_error_code_t *error)
{
	switch (error->tag) {
	case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
		return T("spec.http.allowedHosts does not grant it");
	case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED:
		return T("the operator's policy keeps its address out of reach");
	case WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR:
		return T("its name is not known");
	case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED:
		return T("connection refused");
	case WASI_HTTP_TYPES_ERROR_CODE_TLS_CERTIFICATE_ERROR:
		return T("its certificate is not trusted: spec.http.caBundleSecretName names a Secret with its CA");
	default:
		return CAT(T("error "), decimal(error->tag), T(" of wasi:http"));
	}
}

static wasi_http_types_own_outgoing_request_t request(text url, text path)
{
	author_string_t name = string(T("content-type"));
	text json = T("application/json");
	wasi_http_types_field_value_t value = {(uint8_t *)json.at, json.len};
	wasi_http_types_header_error_t ignored;
	wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
	wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &ignored);

	wasi_http_types_own_outgoing_request_t made = wasi_http_types_constructor_outgoing_request(headers);
	wasi_http_types_borrow_outgoing_request_t it = wasi_http_types_borrow_outgoing_request(made);
	bool is_plain = starts_with(url, T("http://"));
	size_t start = is_plain ? strlen("http://") : strlen("https://");
	wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_POST};
	wasi_http_types_scheme_t scheme = {.tag = is_plain ? WASI_HTTP_TYPES_SCHEME_HTTP : WASI_HTTP_TYPES_SCHEME_HTTPS};
	author_string_t authority = string((text){url.at + start, url.len - start});
	author_string_t target = string(path);
	wasi_http_types_method_outgoing_request_set_method(it, &method);
	wasi_http_types_method_outgoing_request_set_scheme(it, &scheme);
	wasi_http_types_method_outgoing_request_set_authority(it, &authority);
	wasi_http_types_method_outgoing_request_set_path_with_query(it, &target);
	return made;
}

static bool write(wasi_http_types_own_outgoing_body_t body, text content)
{
	wasi_io_streams_own_output_stream_t stream;
	if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream))
		return false;
	bool written = true;
	for (size_t at = 0; written && at < content.len; at += CHUNK) {
		size_t len = content.len - at < CHUNK ? content.len - at : CHUNK;
		author_list_u8_t part = bytes((text){content.at + at, len});
		wasi_io_streams_stream_error_t error;
		written = wasi_io_streams_method_output_stream_blocking_write_and_flush(
			wasi_io_streams_borrow_output_stream(stream), &part, &error);
	}
	wasi_io_streams_output_stream_drop_own(stream);
	wasi_http_types_error_code_t error;
	return wasi_http_types_static_outgoing_body_finish(body, NULL, &error) && written;
}

static bool read(wasi_http_types_own_incoming_response_t response, text *answer)
{
	wasi_http_types_own_incoming_body_t body;
	wasi_io_streams_own_input_stream_t stream;
	if (!wasi_http_types_method_incoming_response_consume(wasi_http_types_borrow_incoming_response(response), &body) ||
	    !wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream))
		return false;
	for (*answer = T("");;) {
		author_list_u8_t part;
		wasi_io_streams_stream_error_t error;
		if (!wasi_io_streams_method_input_stream_blocking_read(
			    wasi_io_streams_borrow_input_stream(stream), PART, &part, &error))
			return error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
		*answer = CAT(*answer, (text){(char *)part.ptr, part.len});
	}
}

bool post(text url, text path, text body, uint16_t *status, text *answer)
{
	wasi_http_types_own_outgoing_request_t sent = request(url, path);
	wasi_http_types_own_outgoing_body_t outgoing;
	wasi_http_types_own_future_incoming_response_t future;
	wasi_http_types_error_code_t error;
	*answer = T("the connection broke off");
	if (!wasi_http_types_method_outgoing_request_body(wasi_http_types_borrow_outgoing_request(sent), &outgoing))
		return false;
	if (!wasi_http_outgoing_handler_handle(sent, NULL, &future, &error)) {
		*answer = reason(&error);
		return false;
	}
	if (!write(outgoing, body))
		return false;
	wasi_http_types_borrow_future_incoming_response_t it = wasi_http_types_borrow_future_incoming_response(future);
	wasi_io_poll_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(it);
	wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
	wasi_io_poll_pollable_drop_own(pollable);
	wasi_http_types_result_result_own_incoming_response_error_code_void_t got;
	if (!wasi_http_types_method_future_incoming_response_get(it, &got) || got.is_err)
		return false;
	if (got.val.ok.is_err) {
		*answer = reason(&got.val.ok.val.err);
		return false;
	}
	wasi_http_types_own_incoming_response_t response = got.val.ok.val.ok;
	*status = wasi_http_types_method_incoming_response_status(wasi_http_types_borrow_incoming_response(response));
	return read(response, answer);
}
