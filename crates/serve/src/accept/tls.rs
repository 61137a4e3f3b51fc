//! TLS (rustls with ring): a certificate chain and its key, HTTP/2 and HTTP/1.1 by ALPN.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// Why a certificate and key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file.
    #[error("the certificate file holds no PEM certificate that can be read")]
    Certificate,
    /// The key file.
    #[error("the key file holds no PEM private key that can be read")]
    Key,
    /// Both can be read, but not used together.
    #[error("the certificate and the key do not work together")]
    Pair(#[source] tokio_rustls::rustls::Error),
}

/// Makes what [`run`](super::run) encrypts with, from the text of a PEM chain (server's certificate first) and key.
///
/// # Errors
/// [`TlsError`] says which of the two cannot be used.
pub fn tls_acceptor(certificates_pem: &[u8], key_pem: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates_pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("testdata/certificate.pem");
    const KEY: &[u8] = include_bytes!("testdata/key.pem");

    #[tokio::test]
    async fn http_2_is_agreed_on_in_the_handshake() {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = tls_acceptor(CERTIFICATE, KEY).unwrap();
        let connect = TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), near);
        let (client, server) = tokio::join!(connect, acceptor.accept(far));
        client.unwrap();
        assert_eq!(server.unwrap().get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }

    #[test]
    fn the_broken_file_is_named() {
        assert!(matches!(tls_acceptor(b"", b""), Err(TlsError::Certificate)));
        let certificate = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(matches!(tls_acceptor(certificate, b"no key"), Err(TlsError::Key)));
    }
}
