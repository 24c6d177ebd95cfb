//! Feeds over TLS, with certificates of a private authority.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, Memory};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use super::resuming::ship;
use super::serving::feed_of;

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (connection, address) = self.listener.accept().await.unwrap();
            // A client that does not trust the certificate closes the connection.
            if let Ok(connection) = self.acceptor.accept(connection).await {
                return (connection, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Returns an authority's certificate in PEM, and the configuration of a server with a certificate
/// of this authority.
fn authority() -> (String, ServerConfig) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (root.pem(), config.unwrap())
}

/// Serves one order, and returns the address.
fn serve(runtime: &Runtime, config: ServerConfig) -> String {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let router = feed_of(&database).router();
    runtime.spawn(async move { axum::serve(Tls { listener, acceptor }, router).await });
    format!("https://localhost:{port}")
}

#[test]
fn a_server_is_trusted_when_its_authority_is_named() {
    let runtime = Runtime::new().unwrap();
    let (root, config) = authority();
    let (other, _) = authority();
    let url = serve(&runtime, config);
    let source = || HttpSource::new(&url).unwrap();
    for mut stranger in [source(), source().root_certificates(&other).unwrap()] {
        let error = stranger.current_head("orders").unwrap_err();
        assert!(!error.is_retryable());
        let error = format!("{error:#}");
        assert!(
            error.contains("the server's certificate is not trusted"),
            "{error}"
        );
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
    let mut known = source().root_certificates(&root).unwrap();
    assert_eq!(known.current_head("orders").unwrap().get(), 1);
    let both = source().root_certificates(&other).unwrap();
    let mut both = both.root_certificates(root).unwrap();
    assert_eq!(both.current_head("orders").unwrap().get(), 1);
}

#[test]
fn an_invalid_certificate_is_refused() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    for pem in ["", "nothing", &key, "-----BEGIN CERTIFICATE-----\n!\n"] {
        let source = HttpSource::new("https://host").unwrap();
        let error = format!("{:#}", source.root_certificates(pem).unwrap_err());
        assert!(error.contains("setting the root certificates"), "{error}");
        assert!(error.contains("there is no certificate in it"), "{error}");
    }
}
