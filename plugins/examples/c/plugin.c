// A plugin in C: certificates from CFSSL's multirootca.
#include "author.h"
#include "http.h"
#include "text.h"

// spec.config of the Issuer.
typedef struct {
	text url, label, profile;
} ca;

// What came of asking the CA.
typedef enum {
	DONE,
	// It will not sign this CSR, or could not; it has one answer for both.
	REFUSED,
	FAILED,
} outcome;

typedef exports_wasm_issuer_plugin_signer_issuer_t issuer;
typedef exports_wasm_issuer_plugin_signer_certificate_request_t certificate_request;
typedef exports_wasm_issuer_plugin_signer_certificate_t certificate;
typedef exports_wasm_issuer_plugin_signer_failure_t failure;

// What the operator is told where a function returns false or FAILED.
static failure told;

static author_string_t string(text t) { return (author_string_t){(uint8_t *)t.at, t.len}; }
static author_list_u8_t bytes(text t) { return (author_list_u8_t){(uint8_t *)t.at, t.len}; }

// Always false.
static bool fail(uint8_t kind, text message)
{
	told = (failure){.kind = {.tag = kind}, .message = string(ascii(message, 2048))};
	return false;
}

#define RETRY WASM_ISSUER_PLUGIN_TYPES_FAILURE_KIND_RETRY
#define PERMANENT WASM_ISSUER_PLUGIN_TYPES_FAILURE_KIND_PERMANENT
#define ISSUER WASM_ISSUER_PLUGIN_TYPES_FAILURE_KIND_ISSUER

// A string of the configuration, or an empty one where that has none.
static text field(text config, const char *name)
{
	text value;
	return json_string(config, (const char *[]){name, NULL}, &value) ? value : T("");
}

static bool configure(const issuer *issuer, ca *ca)
{
	text config = {(char *)issuer->config.ptr, issuer->config.len}, name;
	for (size_t n = 0; json_name(config, n, &name); n++)
		if (!is(name, T("url")) && !is(name, T("label")) && !is(name, T("profile")))
			return fail(PERMANENT, CAT(T("spec.config."), name, T(": there is no such field; there are url, label and profile")));
	ca->url = field(config, "url");
	ca->label = field(config, "label");
	ca->profile = field(config, "profile");
	if (!starts_with(ca->url, T("https://")) && !starts_with(ca->url, T("http://")))
		return fail(PERMANENT, CAT(T("spec.config.url is \""), ca->url,
			T("\": give the server's address, such as https://cfssl.pki.svc:8888")));
	while (ca->url.at[ca->url.len - 1] == '/')
		ca->url.len--;
	return true;
}

static text request_of(const ca *ca, text csr)
{
	return CAT(T("{\"certificate_request\":"), json_quoted(csr), T(",\"label\":"), json_quoted(ca->label),
		T(",\"profile\":"), json_quoted(ca->profile), T("}"));
}

// Whether the server says that the Issuer is at fault.
static bool is_the_issuers(uint16_t status, text message)
{
	static const char *const FAULTS[] = {
		"bad label", "invalid profile", "invalid token", "authentication required", "no authentication provider",
	};
	for (size_t n = 0; n < sizeof FAULTS / sizeof *FAULTS; n++)
		if (is(message, CAT((text){(char *)FAULTS[n], __builtin_strlen(FAULTS[n])})))
			return true;
	return status == 401 || status == 403 || status == 404;
}

// Asks, and returns the certificate in the answer.
static outcome ask(const ca *ca, text endpoint, text body, text *pem)
{
	text path = CAT(T("/api/v1/cfssl/"), endpoint), answer, message;
	uint16_t status;
	if (!post(ca->url, path, body, &status, &answer)) {
		fail(RETRY, CAT(ca->url, path, T(": "), answer));
		return FAILED;
	}
	if (status == 200 && json_string(answer, (const char *[]){"result", "certificate", NULL}, pem))
		return DONE;
	if (!json_string(answer, (const char *[]){"errors", "0", "message", NULL}, &message))
		message = ascii(answer, 200);
	text all = CAT(ca->url, path, T(": "), message, T(" (HTTP "), decimal(status), T(")"));
	if (is_the_issuers(status, message)) {
		fail(ISSUER, all);
		return FAILED;
	}
	fail(RETRY, status == 400 ? CAT(all, T("; the CA refuses the CSR or failed to sign it: its log says which")) : all);
	return status == 400 ? REFUSED : FAILED;
}

// Asks with a token: the HMAC of the request, which the operator makes with the key of the Secret.
static outcome authsign(const ca *ca, text csr, text *pem)
{
	text request = request_of(ca, csr);
	author_string_t name = string(T("key"));
	author_list_u8_t message = bytes(request), token;
	author_list_list_u8_t messages = {&message, 1};
	wasm_issuer_plugin_secrets_own_secret_t secret;
	wasm_issuer_plugin_secrets_secret_error_t error;
	wasm_issuer_plugin_secrets_hmac_key_t key = {.encoding = WASM_ISSUER_PLUGIN_SECRETS_ENCODING_HEX};
	if (!wasm_issuer_plugin_secrets_get(&name, &secret, &error) ||
	    !wasm_issuer_plugin_secrets_method_secret_hmac(wasm_issuer_plugin_secrets_borrow_secret(secret),
		    WASM_ISSUER_PLUGIN_SECRETS_HASH_SHA256, &key, &messages, &token, &error)) {
		// Each error has a text, which names what was looked up.
		text why = {(char *)error.val.not_found.ptr, error.val.not_found.len};
		fail(ISSUER, CAT(T("the key \"key\" of the Secret in spec.authSecretName: "), why));
		return FAILED;
	}
	text body = CAT(T("{\"token\":\""), base64((text){(char *)token.ptr, token.len}, 0), T("\",\"request\":\""),
		base64(request, 0), T("\"}"));
	return ask(ca, T("authsign"), body, pem);
}

// The CA's own certificate, PEM.
static outcome info(const ca *ca, text *pem)
{
	return ask(ca, T("info"), request_of(ca, T("")), pem);
}

bool exports_wasm_issuer_plugin_signer_check(issuer *issuer, failure *err)
{
	ca ca;
	text ignored;
	// Nothing is signed: the server looks at the token before the CSR, which is none.
	bool is_fine = configure(issuer, &ca) && info(&ca, &ignored) == DONE && authsign(&ca, T(""), &ignored) != FAILED;
	*err = told;
	return is_fine;
}

bool exports_wasm_issuer_plugin_signer_sign(issuer *issuer, certificate_request *request, certificate *ret, failure *err)
{
	ca ca;
	text leaf, own;
	text der = {(char *)request->csr.ptr, request->csr.len};
	text csr = CAT(T("-----BEGIN CERTIFICATE REQUEST-----\n"), base64(der, 64), T("-----END CERTIFICATE REQUEST-----\n"));
	if (!configure(issuer, &ca) || authsign(&ca, csr, &leaf) != DONE || info(&ca, &own) != DONE) {
		*err = told;
		return false;
	}
	text chain = CAT(leaf, T("\n"), own);
	*ret = (certificate){.chain = string(ascii(chain, chain.len))};
	return true;
}
