//! A CertificateRequest as YAML or JSON, read as the operator reads it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use aws_lc_rs::digest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use uuid::Uuid;
use wasm_issuer_core::issuance::condition::RESUME;
use wasm_issuer_core::issuance::signer::{Requester, SignRequest};

use super::input::{self, quoted};
use super::issuer::Issuer;
use crate::api::cert_manager::CertificateRequest;
use crate::operator::Asked;

const WHAT: &str = "the request";
/// Who creates requests in a cluster where cert-manager makes them from Certificates.
pub const REQUESTER: &str = "system:serviceaccount:cert-manager:cert-manager";

/// A CertificateRequest from a file. Whom it is for does not matter: another issuer's can be tried, too.
pub struct RequestFile {
    path: PathBuf,
    meta: ObjectMeta,
    asked: Asked,
    /// The token in its status.
    resume: Option<String>,
}

impl RequestFile {
    /// Reads the one CertificateRequest among the documents of a file; `-` is stdin.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let object = input::object(path, WHAT, ("cert-manager.io/v1", "CertificateRequest"))?;
        let request: CertificateRequest =
            serde_path_to_error::deserialize(object).with_context(|| format!("{WHAT} {}", quoted(path)))?;
        let mut meta = request.metadata;
        let annotations = meta.annotations.take().unwrap_or_default().into_iter().collect();
        let resume = request.status.conditions.into_iter().find(|condition| condition.type_ == RESUME);
        Ok(Self {
            path: path.to_owned(),
            meta,
            asked: Asked::new(request.spec, annotations),
            resume: resume.map(|condition| condition.message),
        })
    }

    /// Where it is, if it says so.
    pub fn namespace(&self) -> Option<&str> {
        self.meta.namespace.as_deref()
    }

    /// The request for the plugin, with `resume` in place of the token in its status. What only a cluster fills in has a
    /// stand-in where it is missing. Fails where the operator would not ask: the message says which field is at fault.
    pub fn sign_request(self, issuer: &Issuer, resume: Option<String>) -> anyhow::Result<SignRequest> {
        let named = |why: &str| anyhow!("{WHAT} {}: {why}", quoted(&self.path));
        let namespace = self.namespace().unwrap_or(&issuer.request_namespace);
        if let Some(own) = issuer.key.namespace.as_deref() {
            ensure!(
                own == namespace,
                "{WHAT} {} is in the namespace \"{namespace}\", and the Issuer in \"{own}\": a WasmIssuer signs the requests \
                 of its own namespace",
                quoted(&self.path)
            );
        }
        if let Some(excess) = self.asked.excess() {
            return Err(named(&excess));
        }
        let (csr, decided) = self.asked.decide().map_err(|why| named(&why.message))?;
        let requester = match self.asked.spec.requester() {
            nobody if nobody == Requester::default() => {
                Requester { username: REQUESTER.to_owned(), ..Requester::default() }
            }
            requester => requester,
        };
        Ok(SignRequest {
            namespace: Some(namespace.to_owned()),
            name: self.meta.name.clone().unwrap_or_else(|| format!("{}-request", issuer.key.name)),
            uid: self.meta.uid.clone().unwrap_or_else(|| uid(csr.der())),
            csr,
            duration: decided.duration,
            is_ca: decided.is_ca,
            usages: decided.usages,
            annotations: self.asked.annotations,
            requester,
            resume: resume.or(self.resume),
        })
    }
}

/// The same for the same CSR, like the uid of a request that is tried again.
pub fn uid(csr: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, csr);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, of_digest)| *byte = *of_digest);
    Uuid::new_v8(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::author::issuer::IssuerArgs;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        issuer: IssuerArgs,
    }

    fn issuer(args: &[&str]) -> Issuer {
        let line = Line::try_parse_from(["test"].iter().chain(args)).unwrap();
        line.issuer.validate(Path::new("my_ca.wasm")).unwrap()
    }

    fn whole() -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "CertificateRequest",
            "metadata": {"name": "web-1", "namespace": "team-a", "uid": "u-1", "annotations": {"a": "b"}},
            "spec": {
                "request": BASE64_STANDARD.encode(csr),
                "duration": "1h30m0s",
                "isCA": true,
                "usages": ["crl sign"],
                "issuerRef": {"name": "another", "group": "certmanager.step.sm"},
                "username": "jane",
                "groups": ["admins"],
            },
            "status": {"conditions": [{"type": RESUME, "status": "True", "message": "order-1"}]},
        })
    }

    fn read(request: &Value, issuer: &Issuer, resume: Option<&str>) -> anyhow::Result<SignRequest> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("request.yaml");
        std::fs::write(&file, request.to_string())?;
        RequestFile::read(&file)?.sign_request(issuer, resume.map(str::to_owned))
    }

    #[test]
    fn everything_that_the_operator_hands_to_a_plugin_is_read() {
        let issuer = issuer(&["--namespace", "team-a"]);
        let sign = read(&whole(), &issuer, None).unwrap();
        assert_eq!(
            (sign.namespace.as_deref(), sign.name.as_str(), sign.uid.as_str()),
            (Some("team-a"), "web-1", "u-1")
        );
        assert_eq!((sign.duration.as_secs(), sign.is_ca), (5400, true));
        assert_eq!(sign.usages, ["crl sign", "cert sign"]);
        assert_eq!(sign.annotations, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            (sign.requester.username.as_str(), &sign.requester.groups[..]),
            ("jane", &["admins".to_owned()][..])
        );
        assert_eq!(sign.resume.as_deref(), Some("order-1"));
        assert_eq!(read(&whole(), &issuer, Some("order-2")).unwrap().resume.as_deref(), Some("order-2"));
    }

    #[test]
    fn what_only_a_cluster_fills_in_has_a_stand_in() {
        let mut request = whole();
        request["metadata"] = json!({"generateName": "web-"});
        for field in ["username", "groups"] {
            request["spec"].as_object_mut().unwrap().remove(field);
        }
        let sign = read(&request, &issuer(&["--kind", "WasmClusterIssuer"]), None).unwrap();
        assert_eq!((sign.namespace.as_deref(), sign.name.as_str()), (Some("default"), "my-ca-request"));
        assert_eq!((sign.requester.username.as_str(), sign.uid.len()), (REQUESTER, 36));
    }

    #[test]
    fn what_the_operator_would_not_ask_for_names_the_file_and_the_field() {
        let mine = issuer(&["--namespace", "team-a"]);
        for (field, value, wanted) in [
            ("/spec/request", json!("not base64!"), "spec.request is not base64"),
            ("/spec/request", json!("Y3Ny"), "spec.request: "),
            ("/spec/duration", json!("1d"), "spec.duration: a duration's units are"),
            ("/spec/usages", json!(["tls"]), "spec.usages: unknown key usage \"tls\""),
            (
                "/metadata/namespace",
                json!("team-b"),
                "is in the namespace \"team-b\", and the Issuer in \"team-a\"",
            ),
            ("/spec/issuerRef/name", json!(true), "spec.issuerRef.name: invalid type: boolean `true`"),
            ("/metadata/annotations/a", json!("x".repeat(400 << 10)), "bytes of text; at most"),
            ("/kind", json!("Certificate"), "exactly one CertificateRequest is expected"),
            ("/apiVersion", json!("cert-manager.io/v1alpha2"), "apiVersion is to be cert-manager.io/v1"),
        ] {
            let mut request = whole();
            *request.pointer_mut(field).unwrap() = value;
            let error = format!("{:#}", read(&request, &mine, None).err().unwrap());
            assert!(error.contains(wanted) && error.contains("request.yaml\""), "{field}: {error}");
        }
    }

    #[test]
    fn a_uid_looks_like_one() {
        assert_eq!(uid(b"csr"), uid(b"csr"));
        assert_ne!(uid(b"csr"), uid(b"another"));
        assert_eq!(Uuid::parse_str(&uid(b"csr")).unwrap().get_version_num(), 8);
    }
}
