//! An authority for TLS certificates, and what it issues, in files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::folder::Folder;

/// An authority of a test's own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Folder,
}

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Authority {
        let mut params = params(&[], "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key())
            .unwrap_or_else(|error| panic!("no authority: {error}"));
        let folder = Folder::new("authority");
        write(&folder.join("ca.pem"), &issuer.pem());
        Authority { issuer, folder }
    }
}

impl Authority {
    /// The file with the authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Issues a certificate for these hosts (names and addresses), or for a client, to whom they mean nothing.
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Certified {
        let key = key();
        let cert = params(hosts, name)
            .signed_by(&key, &self.issuer)
            .unwrap_or_else(|error| panic!("no certificate for {name}: {error}"));
        let files = Certified {
            cert: self.folder.join(&format!("{name}.pem")),
            key: self.folder.join(&format!("{name}.key")),
        };
        write(&files.cert, &cert.pem());
        write(&files.key, &key.serialize_pem());
        files
    }

    /// The lines of a server's configuration that make it speak TLS, with a certificate for these hosts. `more` is for
    /// the block: `verify: true`.
    pub fn server(&self, hosts: &[&str], more: &str) -> String {
        let Certified { cert, key } = self.issue("server", hosts);
        format!(
            "tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {:?}, timeout: 2, {more} }}",
            self.ca()
        )
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap_or_else(|error| panic!("no key: {error}"))
}

fn params(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap_or_else(|error| panic!("{name}: {error}"));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}
