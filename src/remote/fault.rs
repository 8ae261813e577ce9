//! A remote that fails on schedule, for tests of everything above the requests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::remote::request::Limits;
use crate::remote::transport::Transport;

/// Which requests a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Create and overwrite.
    Put,
    /// Whole files, parts of files and existence checks.
    Get,
    /// Existence checks only.
    Head,
    /// Listings.
    List,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error, and nothing happened.
    FailBefore,
    /// An error, although the request took effect.
    FailAfter,
    /// "Exists already", and nothing happened.
    Conflict,
    /// "Exists already", although this very request took effect.
    ConflictAfter,
    /// "Not found", whatever is there.
    Missing,
    /// Access denied.
    Denied,
    /// The body is cut to this many bytes: what is sent back, or what is kept.
    Short(usize),
    /// This bit of the body is flipped, counted modulo its length: in what is sent back, or what is kept.
    Flip(usize),
    /// No reply, ever.
    Stall,
    /// The condition of a create is ignored: the key is overwritten, and the reply is "created".
    Overwrite,
}

/// One line of the schedule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which requests count.
    pub op: Op,
    /// Only keys that hold this text.
    pub key_part: String,
    /// So many matching requests pass first.
    pub after: usize,
    /// So many matching requests then fail; `usize::MAX` for all.
    pub times: usize,
    /// How.
    pub fault: Fault,
}

impl Rule {
    /// The first matching request fails.
    #[must_use]
    pub fn once(op: Op, key_part: &str, fault: Fault) -> Self {
        Self { op, key_part: key_part.to_owned(), after: 0, times: 1, fault }
    }

    /// All matching requests fail.
    #[must_use]
    pub fn always(op: Op, key_part: &str, fault: Fault) -> Self {
        Self { times: usize::MAX, ..Self::once(op, key_part, fault) }
    }

    /// Lets `n` matching requests pass first.
    #[must_use]
    pub fn after(self, n: usize) -> Self {
        Self { after: n, ..self }
    }
}

/// Another store with faults by schedule. Clones share the schedule.
#[derive(Debug, Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Faulty {
    /// `inner` without faults so far.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, rules: Arc::default() }
    }

    /// An empty store in memory without faults so far.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Arc::new(object_store::memory::InMemory::new()))
    }

    /// A transport over this store whose deadlines and waits are short enough for tests.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let limits = Limits { attempts: 4, backoff_ms: 1, stall_ms: 100, slowest_write_bytes_per_s: 1 << 30 };
        Transport::new(Arc::new(self.clone()), "faulty", true, limits)
    }

    /// Adds a rule. Where several match a request, the first that is due applies.
    pub fn add(&self, rule: Rule) {
        self.lock().push(rule);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, ops: &[Op], key: &str) -> Option<Fault> {
        let mut due = None;
        for rule in self.lock().iter_mut() {
            if due.is_some() || !ops.contains(&rule.op) || !key.contains(&rule.key_part) {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
            } else if rule.times > 0 {
                if rule.times != usize::MAX {
                    rule.times -= 1;
                }
                due = Some(rule.fault);
            }
        }
        due
    }

    async fn put(&self, at: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.due(&[Op::Put], at.as_ref()) {
            None => self.inner.put_opts(at, payload, opts).await,
            Some(Fault::FailAfter) => {
                self.inner.put_opts(at, payload, opts).await?;
                Err(broken("the connection broke after the request"))
            }
            Some(Fault::ConflictAfter) => {
                self.inner.put_opts(at, payload, opts).await?;
                Err(conflict(at))
            }
            Some(fault @ (Fault::Short(_) | Fault::Flip(_))) => {
                let spoilt = spoil(&Bytes::from(payload), fault);
                self.inner.put_opts(at, spoilt.into(), opts).await
            }
            Some(Fault::Overwrite) => self.inner.put_opts(at, payload, PutOptions::default()).await,
            Some(fault) => Err(refusal(at, fault).await),
        }
    }

    async fn get(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let ops: &[Op] = if options.head { &[Op::Get, Op::Head] } else { &[Op::Get] };
        match self.due(ops, at.as_ref()) {
            None => self.inner.get_opts(at, options).await,
            Some(fault @ (Fault::Short(_) | Fault::Flip(_))) => {
                let result = self.inner.get_opts(at, options).await?;
                let (meta, range) = (result.meta.clone(), result.range.clone());
                let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
                let spoilt = spoil(&result.bytes().await?, fault);
                let body = stream::once(async move { Ok(spoilt) }).boxed();
                Ok(GetResult { payload: GetResultPayload::Stream(body), meta, range, attributes, extensions })
            }
            Some(Fault::FailAfter) => {
                self.inner.get_opts(at, options).await?;
                Err(broken("the connection broke in the reply"))
            }
            Some(fault) => Err(refusal(at, fault).await),
        }
    }
}

fn spoil(bytes: &Bytes, fault: Fault) -> Bytes {
    let mut spoilt = bytes.to_vec();
    match fault {
        Fault::Short(len) => spoilt.truncate(len),
        Fault::Flip(bit) if !spoilt.is_empty() => {
            let bit = bit % (spoilt.len() * 8);
            spoilt[bit / 8] ^= 1 << (bit % 8);
        }
        _ => {}
    }
    spoilt.into()
}

async fn refusal(at: &Path, fault: Fault) -> object_store::Error {
    match fault {
        Fault::Conflict => conflict(at),
        Fault::Missing => object_store::Error::NotFound { path: at.to_string(), source: "by schedule".into() },
        Fault::Denied => object_store::Error::PermissionDenied { path: at.to_string(), source: "by schedule".into() },
        Fault::Stall => std::future::pending().await,
        _ => broken("the connection broke before the request"),
    }
}

fn conflict(at: &Path) -> object_store::Error {
    object_store::Error::AlreadyExists { path: at.to_string(), source: "by schedule".into() }
}

fn broken(detail: &'static str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: detail.into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

// The trait is declared with futures in boxes; these are the signatures that it amounts to.
impl ObjectStore for Faulty {
    fn put_opts<'s, 'p, 'f>(
        &'s self,
        location: &'p Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> BoxFuture<'f, Result<PutResult>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        Box::pin(self.put(location, payload, opts))
    }

    fn put_multipart_opts<'s, 'p, 'f>(
        &'s self,
        location: &'p Path,
        opts: PutMultipartOptions,
    ) -> BoxFuture<'f, Result<Box<dyn MultipartUpload>>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        self.inner.put_multipart_opts(location, opts)
    }

    fn get_opts<'s, 'p, 'f>(&'s self, location: &'p Path, options: GetOptions) -> BoxFuture<'f, Result<GetResult>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        Box::pin(self.get(location, options))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let key = prefix.map_or("", |p| p.as_ref());
        match self.due(&[Op::List], key) {
            None => self.inner.list(prefix),
            Some(_) => stream::once(async { Err(broken("the listing broke")) }).boxed(),
        }
    }

    fn list_with_delimiter<'s, 'p, 'f>(&'s self, prefix: Option<&'p Path>) -> BoxFuture<'f, Result<ListResult>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'s, 'a, 'b, 'f>(
        &'s self,
        from: &'a Path,
        to: &'b Path,
        options: CopyOptions,
    ) -> BoxFuture<'f, Result<()>>
    where
        's: 'f,
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        self.inner.copy_opts(from, to, options)
    }
}
