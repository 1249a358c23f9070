// A plugin in JavaScript: certificates from CFSSL's multirootca.

import { get } from 'wasm-issuer:plugin/secrets@0.1.0';

// What the server answers where the Issuer is at fault.
const FAULTS = ['bad label', 'invalid profile', 'invalid token', 'authentication required', 'no authentication provider'];

// A failure of the contract's. What is thrown as anything else is a bug of this plugin.
const retry = (message) => ({ kind: { tag: 'retry' }, message });
const permanent = (message) => ({ kind: { tag: 'permanent' }, message });
const issuersFault = (message) => ({ kind: { tag: 'issuer' }, message });

// The CA will not sign this CSR, or could not: it has one answer for both.
const refused = (message) => ({ ...retry(message), isRefused: true });

export const signer = {
  async check(issuer) {
    const config = configOf(issuer);
    await ask(config, 'info', requestOf(config, ''));
    try {
      // Nothing is signed: the server looks at the token before the CSR, which is none.
      await authsign(config, '');
    } catch (failure) {
      if (!failure.isRefused) throw failure;
    }
  },

  async sign(issuer, request) {
    const config = configOf(issuer);
    const leaf = await authsign(config, pem(request.csr));
    const own = await ask(config, 'info', requestOf(config, ''));
    return { chain: `${leaf.trim()}\n${own}` };
  },
};

function configOf(issuer) {
  const { url, label = '', profile = '', ...others } = JSON.parse(issuer.config);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw permanent(`spec.config.${unknown}: there is no such field; there are url, label and profile`);
  }
  if (typeof url !== 'string' || !/^https?:\/\//.test(url)) {
    throw permanent(`spec.config.url is ${JSON.stringify(url)}: give the server's address, such as https://cfssl.pki.svc:8888`);
  }
  return { url: url.replace(/\/+$/, ''), label, profile };
}

const requestOf = (config, csr) => ({ certificate_request: csr, label: config.label, profile: config.profile });

// Asks with a token: the HMAC of the request, which the operator makes with the key of the Secret.
function authsign(config, csr) {
  const request = new TextEncoder().encode(JSON.stringify(requestOf(config, csr)));
  return ask(config, 'authsign', { token: base64(hmac('key', request)), request: base64(request) });
}

function hmac(key, message) {
  try {
    return get(key).hmac('sha256', { encoding: 'hex', prefix: new Uint8Array() }, [message]);
  } catch (error) {
    throw issuersFault(`the key ${JSON.stringify(key)} of the Secret in spec.authSecretName: ${error.payload?.val}`);
  }
}

// Returns the certificate in the answer.
async function ask(config, endpoint, body) {
  const address = `${config.url}/api/v1/cfssl/${endpoint}`;
  const { status, text } = await post(address, JSON.stringify(body));
  const answer = parsed(text);
  if (status === 200 && answer?.success) return answer.result.certificate;
  const message = answer?.errors?.[0]?.message ?? text.slice(0, 200);
  const told = `${address}: ${message} (HTTP ${status})`;
  if (FAULTS.includes(message) || [401, 403, 404].includes(status)) throw issuersFault(told);
  if (status === 400) throw refused(`${told}; the CA refuses the CSR or failed to sign it: its log says which`);
  throw retry(told);
}

async function post(address, body) {
  try {
    const response = await fetch(address, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    // fetch does not tell why. Where the operator denied it, an Event of the Issuer says so.
    throw retry(`${address}: ${error.message}`);
  }
}

// None of what is no JSON.
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

const pem = (der) =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${base64(der).replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE REQUEST-----\n`;
