//! TLS as py2p and js2p use it: against those who listen, not against those who pretend.
//!
//! Every node makes a certificate of its own at start, and nobody checks any. js2p's could not even
//! be checked: it has an RSA key of 1024 bits.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
};
use futures_rustls::rustls::client::Resumption;
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{CryptoProvider, ring};
use futures_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use rs2p_core::Address;

use crate::error::BindError;

/// Both ends' settings, with the certificate of this node.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, BindError> {
        let provider = Arc::new(ring::default_provider());
        let acceptor = accepting(Arc::clone(&provider)).map_err(BindError::Certificate)?;
        let connector = dialing(provider).map_err(|e| BindError::Certificate(e.to_string()))?;
        Ok(Self {
            connector,
            acceptor,
        })
    }

    pub(crate) async fn dial<S>(&self, stream: S, address: &Address) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // The name is neither sent nor checked; the type wants one.
        let ip = address.ip().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let name = ServerName::IpAddress(ip.into());
        Ok(self.connector.connect(name, stream).await?.into())
    }

    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ok(self.acceptor.accept(stream).await?.into())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Makes the accepting end's settings, with a new ECDSA certificate on P-256.
fn accepting(provider: Arc<CryptoProvider>) -> Result<TlsAcceptor, String> {
    let made = rcgen::generate_simple_self_signed(["rs2p".to_owned()]);
    let made = made.map_err(|error| error.to_string())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn dialing(provider: Arc<CryptoProvider>) -> Result<TlsConnector, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    // Legacy nodes send no server name. And sessions are told apart by name, of which all nodes on one host
    // would have the same.
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Takes every certificate and every signature for good.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Chunk, Queue};
    use crate::testing::{PipeEnd, pipe};
    use crate::wait::Wakes;
    use crate::writer::Writer;
    use futures_lite::future::{block_on, zip};
    use rs2p_core::Batching;

    fn connected() -> (TlsStream<PipeEnd>, TlsStream<PipeEnd>) {
        let (tls, other) = (Tls::new().unwrap(), Tls::new().unwrap());
        let (near, far) = pipe(1 << 20);
        let address = Address::new("example.org", 4444).unwrap();
        let both = zip(tls.dial(near, &address), other.accept(far));
        let (near, far) = block_on(both);
        (near.unwrap(), far.unwrap())
    }

    /// Returns the lengths of the application data records among these bytes.
    fn records(mut bytes: &[u8]) -> Vec<usize> {
        const APPLICATION_DATA: u8 = 23;
        let mut lens = Vec::new();
        while let [kind, _, _, high, low, rest @ ..] = bytes {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind == APPLICATION_DATA {
                lens.push(len);
            }
            bytes = &rest[len..];
        }
        lens
    }

    /// What py2p needs: it does not see what follows the end of a frame within a record.
    #[test]
    fn chunks_that_need_records_of_their_own_get_them() {
        use Batching::{Free, OwnRecord};
        let (mut near, _far) = connected();
        let before = near.get_ref().0.written().len();
        let queue = Queue::new();
        for (batching, len) in [
            (OwnRecord, 600),
            (OwnRecord, 50),
            (OwnRecord, 20_000),
            (OwnRecord, 60),
            (Free, 70),
            (Free, 80),
        ] {
            let bytes = vec![7; len].into();
            queue.push(Chunk { bytes, batching }, &mut Wakes::default());
        }
        let mut writer = Writer::new(true);
        let mut write = |cx: &mut std::task::Context<'_>| {
            while let std::task::Poll::Ready(written) = writer.poll_write(&mut near, &queue, cx) {
                if written.unwrap() == 0 {
                    break;
                }
            }
            std::task::Poll::Ready(())
        };
        block_on(std::future::poll_fn(&mut write));

        let (pipe, _) = near.get_ref();
        let records = records(&pipe.written()[before..]);
        // TLS 1.3 adds 17 bytes to each, and cuts at 16 KiB.
        let overhead = 17;
        let plain: Vec<_> = records.iter().map(|len| len - overhead).collect();
        assert_eq!(plain, [600, 50, 16_384, 20_000 - 16_384, 60, 150]);
    }

    #[test]
    fn no_server_name_is_sent() {
        let (near, _far) = connected();
        let hello = near.get_ref().0.written();
        let name = b"example.org";
        assert!(!hello.windows(name.len()).any(|window| window == name));
    }
}
