//! The connection: one session on a small runtime of its own, so that it outlives whoever asks.

use super::schema::{self, Product};
use super::statements::Statements;
use super::vitals::Vitals;
use super::{Error, rows};
use crate::config::Cql;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::unprepared::Statement as Text;
use scylla::statement::{Consistency, SerialConsistency};
use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Threads of the runtime: one statement is in flight, and some reads.
const THREADS: usize = 2;
/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to the database.
pub struct Cluster {
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
    pub(super) session: Session,
    pub(super) config: Cql,
    pub(super) product: Product,
    /// For statements that have failed on their usual node.
    pub(super) roaming: ExecutionProfileHandle,
    pub(super) statements: Option<Statements>,
    vitals: Arc<Vitals>,
    /// What this process calls itself: its data directory, and where clients find it.
    name: OnceLock<(String, String)>,
}

impl Cluster {
    /// Connects, and checks version, keyspace, replication and schema.
    ///
    /// # Errors
    /// [`Error`] names what is wrong and what to do.
    pub fn open(config: &Cql) -> Result<Arc<Cluster>, Error> {
        let mut cluster = Cluster::connect(config)?;
        schema::check_keyspace(&cluster)?;
        schema::check_version(&cluster)?;
        let prepared = Statements::prepare(&cluster)?;
        cluster.statements = Some(prepared);
        Ok(Arc::new(cluster))
    }

    /// Connects, and checks the version of the database alone: for making the schema and for `doctor`.
    ///
    /// # Errors
    /// As [`Cluster::open`].
    pub fn connect(config: &Cql) -> Result<Cluster, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("cql")
            .enable_all()
            .build()
            .map_err(|source| Error::Io { what: "cannot start the threads of the database driver", source })?;
        let profile = |shuffle: bool| {
            // No other data centre, ever: LOCAL_SERIAL means the one that is asked (S26).
            let policy = DefaultPolicy::builder()
                .prefer_datacenter(config.data_center.clone())
                .token_aware(true)
                .permit_dc_failover(false)
                .enable_shuffling_replicas(shuffle)
                .build();
            ExecutionProfile::builder()
                .consistency(Consistency::LocalQuorum)
                .serial_consistency(Some(SerialConsistency::LocalSerial))
                .request_timeout(Some(config.timeout))
                .load_balancing_policy(policy)
                // An outcome that is unknown is for us to resolve, by the identical statement.
                .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
                .speculative_execution_policy(None)
                .build()
                .into_handle()
        };
        let points: Vec<&str> = config.contact_points.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
        let mut builder = SessionBuilder::new()
            .known_nodes(&points)
            .connection_timeout(CONNECT)
            .default_execution_profile_handle(profile(false));
        if !config.user.is_empty() {
            builder = builder.user(config.user.clone(), password(config)?);
        }
        if !config.tls_ca.is_empty() {
            builder = builder.tls_context(Some(authorities(&config.tls_ca)?));
        }
        let connecting = async move { builder.build().await.map_err(|error| reason(&error)) };
        let Some(connected) = run(&runtime, connecting) else {
            return Err(Error::Request { what: "connecting", why: "the driver has panicked".to_owned() });
        };
        let session = match connected {
            Ok(session) => session,
            Err(why) => {
                runtime.shutdown_background();
                return Err(refused(config, why));
            }
        };
        let mut cluster = Cluster {
            runtime: Some(runtime),
            session,
            config: config.clone(),
            product: Product::default(),
            roaming: profile(true),
            statements: None,
            vitals: Arc::default(),
            name: OnceLock::new(),
        };
        cluster.product = schema::product(&cluster)?;
        Ok(cluster)
    }

    /// Counters.
    #[must_use]
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// What was configured.
    #[must_use]
    pub fn config(&self) -> &Cql {
        &self.config
    }

    /// Cassandra or ScyllaDB, and its version.
    #[must_use]
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// Says what this process calls itself; the first name stays.
    pub(super) fn call(&self, node: &str, address: &str) {
        self.name.get_or_init(|| (node.to_owned(), address.to_owned()));
    }

    pub(super) fn name(&self) -> (&str, &str) {
        self.name.get().map_or(("", ""), |(node, address)| (node, address))
    }

    pub(super) fn cell(&self) -> i32 {
        i32::try_from(self.config.cell).unwrap_or(i32::MAX)
    }

    pub(super) fn statements(&self) -> &Statements {
        self.statements.as_ref().expect("a cluster that is used for a log was opened, not only connected")
    }

    /// A table's name with its keyspace.
    pub(super) fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.config.keyspace)
    }

    /// Runs something on the driver's runtime and waits, on whatever thread this is. `None`: it has panicked.
    pub(super) fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        run(self.runtime.as_ref()?, future)
    }

    /// Runs something on the driver's runtime, for whoever can wait without blocking. `None`: it has panicked.
    pub(super) async fn join<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.runtime.as_ref()?.spawn(future).await.ok()
    }

    /// Runs one statement that is not prepared: for the schema.
    pub(super) fn query(&self, what: &'static str, text: &str) -> Result<Vec<rows::Named>, Error> {
        self.query_at(what, text, Consistency::LocalOne)
    }

    pub(super) fn query_at(
        &self,
        what: &'static str,
        text: &str,
        consistency: Consistency,
    ) -> Result<Vec<rows::Named>, Error> {
        let mut statement = Text::new(text);
        statement.set_consistency(consistency);
        // Tables are made in longer than a commit takes.
        statement.set_request_timeout(Some(self.config.timeout.max(Duration::from_secs(30))));
        let began = Instant::now();
        let result = self.block_on(self.session.query_unpaged(statement, ()));
        let outcome = if result.is_ok() { 0 } else { 2 };
        self.vitals.count("other", outcome, began.elapsed());
        rows::read(what, result.map_err(|error| Error::request(what, self.told(&reason(&error))))?)
    }

    /// What the driver or the database says, with the setting that it hangs on.
    fn told(&self, why: &str) -> String {
        let Cql { data_center, replication, .. } = &self.config;
        if why.contains("empty plan") {
            return format!(
                "cql.data-center is {data_center}, and no node that answers is in a data centre of that name"
            );
        }
        if why.contains("Not enough nodes are alive") {
            return format!(
                "{why}: are all nodes up? With fewer nodes than copies make another keyspace, with a smaller \
                 cql.replication (now {replication})"
            );
        }
        why.to_owned()
    }

    /// As [`Cluster::wait`], for a future that borrows: on a thread of its own, since this one may be a runtime's.
    pub(super) fn block_on<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let handle = self.runtime.as_ref().expect("it lives").handle();
        std::thread::scope(|scope| {
            scope.spawn(|| handle.block_on(future)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be dropped on a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn run<T: Send + 'static>(runtime: &Runtime, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (answer, answered) = sync_channel(1);
    runtime.spawn(async move {
        // Nobody waits any more: then nobody needs it.
        let _ = answer.send(future.await);
    });
    answered.recv().ok()
}

/// An error with all its causes, in one line.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

fn refused(config: &Cql, why: String) -> Error {
    let lower = why.to_lowercase();
    if lower.contains("authentic") || lower.contains("credentials") || lower.contains("username") {
        return Error::Login { user: config.user.clone(), why };
    }
    Error::Unreachable { points: config.contact_points.clone(), why }
}

fn password(config: &Cql) -> Result<String, Error> {
    let path = &config.password_file;
    let text = std::fs::read_to_string(path).map_err(|error| Error::File {
        setting: "cql.password-file",
        path: path.clone(),
        why: error.to_string(),
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn authorities(path: &str) -> Result<Arc<rustls::ClientConfig>, Error> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let bad = |why: String| Error::File { setting: "cql.tls-ca", path: path.to_owned(), why };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
