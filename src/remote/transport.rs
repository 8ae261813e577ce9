//! Single requests: blocking, counted, with deadlines, and retried where repeating is harmless.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::request::{Limits, Put, RequestKind, Requests, Settled};
use crate::remote::runtime::wait;

#[derive(Default)]
struct Counters {
    kinds: [AtomicU64; 7],
    received: AtomicU64,
    sent: AtomicU64,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    location: String,
    local: bool,
    limits: Limits,
    counters: Counters,
}

/// A remote's files. Cheap to clone; clones share the counters.
#[derive(Clone)]
pub struct Transport {
    inner: Arc<Inner>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.inner.location)
    }
}

impl Transport {
    /// A transport over `store`. `location` is its name for people; `local` says that reading back what was
    /// written is cheap (a directory of this machine).
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, location: &str, local: bool, limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                location: location.to_owned(),
                local,
                limits,
                counters: Counters::default(),
            }),
        }
    }

    /// An empty remote in memory, for tests.
    #[must_use]
    pub fn memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        Self::new(store, "memory", true, Limits::default())
    }

    /// The remote's name for people.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// Whether reading back is cheap.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.inner.local
    }

    /// The deadlines and retries in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Requests sent so far by this transport and its clones.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let c = &self.inner.counters;
        let kind = |k: RequestKind| c.kinds[k as usize].load(Ordering::Relaxed);
        Requests {
            gets: kind(RequestKind::Get),
            ranges: kind(RequestKind::GetRange),
            heads: kind(RequestKind::Head),
            creates: kind(RequestKind::Create),
            overwrites: kind(RequestKind::Overwrite),
            lists: kind(RequestKind::List),
            deletes: kind(RequestKind::Delete),
            received_bytes: c.received.load(Ordering::Relaxed),
            sent_bytes: c.sent.load(Ordering::Relaxed),
        }
    }

    /// Creates `key` with `bytes` if it is absent: one request, never repeated.
    ///
    /// # Errors
    /// After [`Error::Unreachable`] and [`Error::Stalled`] the key may hold the bytes all the same; after
    /// [`Put::Exists`] too, when a lower layer repeated the request. Callers compare what the key holds, or
    /// use [`Transport::create_settled`].
    pub fn put_new(&self, key: &Key, bytes: Bytes) -> Result<Put> {
        wait(self.put_new_async(key, bytes))
    }

    /// Creates `key` with `bytes` and finds out what really happened when the answer was not clear: the key
    /// is read back, at most `max_bytes`, and the creation is repeated while it is absent.
    ///
    /// # Errors
    /// [`Error::Unreachable`] or [`Error::Stalled`] when the outcome stays unknown after all attempts.
    pub fn create_settled(&self, key: &Key, bytes: &Bytes, max_bytes: u64) -> Result<Settled> {
        let limits = self.inner.limits;
        let mut attempt = 0;
        loop {
            let unclear = match self.put_new(key, bytes.clone()) {
                Ok(Put::Created) => return Ok(Settled::Created),
                Ok(Put::Exists) => None,
                Err(e) if e.is_transient() => Some(e),
                Err(e) => return Err(e),
            };
            match self.get_limited(key, max_bytes) {
                Ok(Some(held)) if held == *bytes => return Ok(Settled::Same),
                Ok(Some(held)) => return Ok(Settled::Other(held)),
                Ok(None) => {}
                Err(Error::TooLarge { .. }) => return Ok(Settled::Other(Bytes::new())),
                Err(e) => return Err(e),
            }
            // Absent: the request never arrived, or this reply is stale. The same bytes again are harmless.
            attempt += 1;
            if attempt >= limits.attempts {
                return Err(unclear.unwrap_or_else(|| Error::Unreachable {
                    op: "create",
                    key: key.to_string(),
                    detail: "the remote says that the key exists, but does not return it".into(),
                }));
            }
            self.pause(attempt)?;
        }
    }

    /// Waits as long as before the repetition that follows `attempt`.
    pub(crate) fn pause(&self, attempt: u32) -> Result<()> {
        let pause = self.inner.limits.pause(attempt);
        wait(async {
            tokio::time::sleep(pause).await;
            Ok(())
        })
    }

    /// Overwrites `hint`, the one key that may change. One request.
    pub fn put_hint(&self, bytes: Bytes) -> Result<()> {
        let key = Key::Hint.to_string();
        self.count(RequestKind::Overwrite);
        wait(async {
            let size = bytes.len() as u64;
            let ms = self.inner.limits.write_deadline_ms(size);
            let at = path(&key)?;
            let put = self.inner.store.put(&at, bytes.into());
            deadline("write", &key, ms, put).await?;
            self.inner.counters.sent.fetch_add(size, Ordering::Relaxed);
            Ok(())
        })
    }

    /// The bytes of `key`, or `None` when it is absent. Refuses more than `max_bytes` before it reads them.
    pub fn get_limited(&self, key: &Key, max_bytes: u64) -> Result<Option<Bytes>> {
        wait(self.get_async(key, max_bytes))
    }

    /// The bytes of `key`; absence is [`Error::NotFound`].
    pub fn get_existing(&self, key: &Key, max_bytes: u64) -> Result<Bytes> {
        self.get_limited(key, max_bytes)?.ok_or_else(|| Error::NotFound { key: key.to_string() })
    }

    /// Exactly `len` bytes of `key` from `offset`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the file ends before that.
    pub fn get_range(&self, key: &Key, offset: u64, len: u64) -> Result<Bytes> {
        wait(self.get_range_async(key, offset, len))
    }

    /// The size of `key` in bytes, or `None` when it is absent.
    pub fn head(&self, key: &Key) -> Result<Option<u64>> {
        wait(self.head_async(key))
    }

    /// Keys below `prefix` with their sizes, in any order and possibly incomplete: for diagnostics only.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        self.count(RequestKind::List);
        let at = path(prefix)?;
        wait(async {
            let ms = self.inner.limits.stall_ms;
            let mut found = Vec::new();
            let mut stream = self.inner.store.list(Some(&at));
            while let Some(meta) = deadline("list", prefix, ms, stream.try_next()).await? {
                found.push((meta.location.to_string(), meta.size));
            }
            Ok(found)
        })
    }

    /// Deletes a probe key. Nothing else is ever deleted by a writer.
    pub fn delete_canary(&self, name: &str) -> Result<()> {
        let key = Key::Canary(name.to_owned()).to_string();
        self.count(RequestKind::Delete);
        wait(async {
            let at = path(&key)?;
            let ms = self.inner.limits.stall_ms;
            deadline("delete", &key, ms, self.inner.store.delete(&at)).await
        })
    }

    pub(crate) async fn put_new_async(&self, key: &Key, bytes: Bytes) -> Result<Put> {
        let key = key.to_string();
        let size = bytes.len() as u64;
        self.count(RequestKind::Create);
        let at = path(&key)?;
        let ms = self.inner.limits.write_deadline_ms(size);
        let put = self.inner.store.put_opts(&at, PutPayload::from_bytes(bytes), PutMode::Create.into());
        let reply = tokio::time::timeout(Duration::from_millis(ms), put).await;
        self.inner.counters.sent.fetch_add(size, Ordering::Relaxed);
        match reply {
            Ok(Ok(_)) => Ok(Put::Created),
            Ok(Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })) => {
                Ok(Put::Exists)
            }
            Ok(Err(e)) => Err(Error::from_reply("create", &key, &e)),
            Err(_) => Err(Error::Stalled { op: "create", key, idle_ms: ms }),
        }
    }

    pub(crate) async fn get_async(&self, key: &Key, max_bytes: u64) -> Result<Option<Bytes>> {
        let key = key.to_string();
        let at = path(&key)?;
        let read = self.retry(|| async {
            self.count(RequestKind::Get);
            let result = self.open(&key, &at, GetOptions::new()).await?;
            let size = result.meta.size;
            if size > max_bytes {
                return Err(Error::TooLarge { key: key.clone(), actual_bytes: size, limit_bytes: max_bytes });
            }
            self.body(&key, result, size).await
        });
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) async fn get_range_async(&self, key: &Key, offset: u64, len: u64) -> Result<Bytes> {
        let text = key.to_string();
        if len == 0 {
            return Ok(Bytes::new());
        }
        let end = offset
            .checked_add(len)
            .ok_or_else(|| Error::Malformed { key: text.clone(), detail: "a range ends beyond 2^64".into() })?;
        let at = path(&text)?;
        let read = self.retry(|| async {
            self.count(RequestKind::GetRange);
            let options = GetOptions::new().with_range(Some(offset..end));
            let size = match self.open(&text, &at, options).await {
                Ok(result) if result.meta.size >= end => {
                    return self.body(&text, result, len).await;
                }
                Ok(result) => result.meta.size,
                // A range that starts behind the end has no reply of its own kind: ask for the size.
                Err(e @ Error::Unreachable { .. }) => {
                    self.count(RequestKind::Head);
                    let options = GetOptions::new().with_head(true);
                    match self.open(&text, &at, options).await {
                        Ok(result) if result.meta.size < end => result.meta.size,
                        _ => return Err(e),
                    }
                }
                Err(e) => return Err(e),
            };
            Err(Error::Corrupt {
                key: text.clone(),
                expected: format!("at least {end} bytes"),
                actual: format!("{size} bytes"),
            })
        });
        read.await
    }

    pub(crate) async fn head_async(&self, key: &Key) -> Result<Option<u64>> {
        let key = key.to_string();
        let at = path(&key)?;
        let read = self.retry(|| async {
            self.count(RequestKind::Head);
            let options = GetOptions::new().with_head(true);
            Ok(self.open(&key, &at, options).await?.meta.size)
        });
        match read.await {
            Ok(size) => Ok(Some(size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn open(&self, key: &str, at: &Path, options: GetOptions) -> Result<GetResult> {
        let ms = self.inner.limits.stall_ms;
        deadline("read", key, ms, self.inner.store.get_opts(at, options)).await
    }

    /// Reads a body that must have `len` bytes; a shorter or longer one is a broken transfer.
    async fn body(&self, key: &str, result: GetResult, len: u64) -> Result<Bytes> {
        let ms = self.inner.limits.stall_ms;
        let wrong = |actual: u64| Error::Unreachable {
            op: "read",
            key: key.to_owned(),
            detail: format!("the body has {actual} bytes instead of {len}"),
        };
        let bytes = if matches!(result.payload, GetResultPayload::File(..)) {
            let ms = ms.saturating_add(len / 1024);
            deadline("read", key, ms, result.bytes()).await?
        } else {
            let mut stream = result.into_stream();
            let mut parts: Vec<Bytes> = Vec::new();
            let mut total = 0u64;
            while let Some(part) = deadline("read", key, ms, async { stream.next().await.transpose() }).await? {
                total = total.saturating_add(part.len() as u64);
                if total > len {
                    return Err(wrong(total));
                }
                parts.push(part);
            }
            if parts.len() == 1 {
                parts.swap_remove(0)
            } else {
                let mut all = BytesMut::with_capacity(usize::try_from(total).unwrap_or(0));
                parts.iter().for_each(|part| all.extend_from_slice(part));
                all.freeze()
            }
        };
        let got = bytes.len() as u64;
        self.inner.counters.received.fetch_add(got, Ordering::Relaxed);
        if got == len { Ok(bytes) } else { Err(wrong(got)) }
    }

    /// Repeats a read while its failure may pass.
    async fn retry<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let limits = self.inner.limits;
        let mut attempt = 1;
        loop {
            match read().await {
                Err(e) if e.is_transient() && attempt < limits.attempts => {
                    tokio::time::sleep(limits.pause(attempt - 1)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn count(&self, kind: RequestKind) {
        self.inner.counters.kinds[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

fn path(key: &str) -> Result<Path> {
    Path::parse(key).map_err(|e| Error::Malformed { key: key.to_owned(), detail: e.to_string() })
}

async fn deadline<T>(
    op: &'static str,
    key: &str,
    ms: u64,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(Duration::from_millis(ms), request).await {
        Ok(reply) => reply.map_err(|e| Error::from_reply(op, key, &e)),
        Err(_) => Err(Error::Stalled { op, key: key.to_owned(), idle_ms: ms }),
    }
}
