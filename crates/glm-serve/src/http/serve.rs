//! Connections: bounded in number, with limits of time, finished when the server shuts down.

use super::router;
use super::state::{Shared, State};
use crate::config::ServeConfig;
use crate::http::auth::Keys;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::scheduler::{Limits, Scheduler};
use crate::watch::{self, Watch};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

/// A server that is ready to take connections.
#[derive(Debug)]
pub struct Server {
    state: Shared,
}

impl Server {
    /// Starts the computing thread.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn new(models: Models, config: ServeConfig, limits: Limits) -> io::Result<Self> {
        let metrics = Arc::new(Metrics::new(limits.cache_bytes));
        let scheduler = Scheduler::start(Arc::clone(models.model()), limits, Arc::clone(&metrics))?;
        let state = State {
            keys: Keys::new(&config.keys),
            admin_keys: Keys::new(&config.admin_keys),
            config,
            models,
            scheduler,
            metrics,
            watched: OnceLock::new(),
            stopping: false.into(),
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// What its routes share.
    pub fn state(&self) -> &Shared {
        &self.state
    }

    /// Watches runs, and serves their checkpoints as they get better. Once a server; it ends with the server.
    ///
    /// # Errors
    /// When the system starts no thread, or runs are watched already.
    pub fn watch(&self, watch: Watch) -> io::Result<()> {
        watch::start(Arc::clone(&self.state), watch)
    }

    /// Serves until `stop` is ready, then finishes what runs, for at most the configured time.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        let routes = router(Arc::clone(&self.state));
        let connections = Arc::new(Semaphore::new(self.state.config.max_connections.max(1)));
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&connections).acquire_owned() => permit.map_err(io::Error::other)?,
                () = &mut stop => break,
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, address)) => self.connection(stream, address, &routes, &graceful, permit),
                // Too many open files, or a connection that was gone before it was taken: others may still come.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        self.state.stopping.store(true, Ordering::Relaxed);
        let patience = self.state.config.shutdown_timeout;
        let state = Arc::clone(&self.state);
        // Answers in progress end, so that their connections can.
        let computing = tokio::task::spawn_blocking(move || state.scheduler.shut_down(patience));
        let _ = tokio::time::timeout(patience + Duration::from_secs(2), graceful.shutdown()).await;
        let _ = computing.await;
        Ok(())
    }

    fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        routes: &Router,
        graceful: &GracefulShutdown,
        permit: OwnedSemaphorePermit,
    ) {
        // Tokens are small and must not wait for one another.
        let _ = stream.set_nodelay(true);
        // Nothing in hyper ends a connection whose other side takes nothing any more.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.state.config.read_timeout));
        let routes = routes.clone();
        let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            routes.clone().oneshot(request)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.state.config.read_timeout).max_buf_size(64 * 1024);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
}
