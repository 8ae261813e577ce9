//! Every ceiling on a size or a count, with its unit. Readers check these before they allocate: bytes from
//! disk, network, git or people never size an allocation unchecked.

/// Bytes in one KiB.
pub const KIB: u64 = 1024;
/// Bytes in one MiB.
pub const MIB: u64 = 1024 * KIB;
/// Bytes in one GiB.
pub const GIB: u64 = 1024 * MIB;

/// Largest chunk, in plain bytes.
pub const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// Largest frame of a pack, in plain bytes: one large metadata record. Frames of several records stay
/// below [`FRAME_TARGET_BYTES`].
pub const MAX_FRAME_RAW_BYTES: usize = 4 * 1024 * 1024;
/// A frame of several records holds at most this many plain bytes.
pub const FRAME_TARGET_BYTES: usize = 1024 * 1024;
/// Most base chunks that one frame may name.
pub const MAX_FRAME_BASES: usize = 64;
/// Most records in one frame.
pub const MAX_FRAME_RECORDS: usize = 4096;
/// Longest chain of bases below a frame.
pub const MAX_DEPTH: u8 = 64;
/// A pack of data is finished at this many stored bytes.
pub const PACK_TARGET_BYTES: u64 = 64 * MIB;
/// A pack of metadata is finished at this many stored bytes.
pub const META_PACK_TARGET_BYTES: u64 = 4 * MIB;
/// Largest pack that a reader accepts, in bytes.
pub const MAX_PACK_BYTES: u64 = 2 * GIB;
/// Most records in one pack: what the 24 bits of a segment entry can count.
pub const MAX_PACK_RECORDS: usize = 1 << 24;
/// Largest index segment that a reader accepts, in bytes.
pub const MAX_SEGMENT_BYTES: u64 = 4 * GIB;
/// Most terms that a recipe holds itself; above that it lists term pages.
pub const MAX_RECIPE_TERMS: usize = 65_536;
/// Largest encoded recipe or page, in bytes. It fits one frame, whatever its content.
pub const MAX_META_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Most entries of a tree page.
pub const MAX_TREE_PAGE_ENTRIES: usize = 4096;
/// Longest path in a tree, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most levels of a tree of pages.
pub const MAX_TREE_LEVELS: u8 = 8;
/// A pointer or directory pointer is shorter than this, in bytes.
pub const MAX_POINTER_BYTES: usize = 1024;
/// Largest header of a tensor file that is looked at, in bytes; beyond it the file is plain bytes.
pub const MAX_TENSOR_HEADER_BYTES: usize = 64 * 1024 * 1024;
/// Largest ledger batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;
/// Most events in one batch.
pub const MAX_BATCH_EVENTS: usize = 1_000_000;
/// Most signatures on one batch.
pub const MAX_BATCH_SIGNATURES: usize = 16;
/// Largest remote log entry, in bytes.
pub const MAX_LOG_ENTRY_BYTES: usize = 64 * 1024 * 1024;
/// Largest asset entry of a remote, in bytes.
pub const MAX_ASSET_ENTRY_BYTES: usize = 512 * 1024 * 1024;
/// Largest `format` or session object of a remote, in bytes.
pub const MAX_REMOTE_SMALL_BYTES: usize = 1024 * 1024;
/// Largest text of git's config, of `.clade/config.toml` and of a pipeline file, in bytes.
pub const MAX_CONFIG_BYTES: usize = 4 * 1024 * 1024;
/// A folder asset with more members than this gets a warning.
pub const MANY_MEMBERS: usize = 50_000;
/// Most term pages that one recipe lists.
pub const MAX_RECIPE_PAGES: usize = 65_536;
/// Largest footer of a pack, in bytes.
pub const MAX_PACK_FOOTER_BYTES: u64 = 256 * MIB;
/// Most packs that one index segment covers.
pub const MAX_SEGMENT_PACKS: usize = 1 << 20;
/// Most writer heads that one batch may name.
pub const MAX_BATCH_HEADS: usize = 1_000_000;
/// Largest signature on a batch, in bytes.
pub const MAX_SIGNATURE_BYTES: usize = 64 * 1024;
/// Most MessagePack values in one batch payload, keys included.
pub const MAX_BATCH_VALUES: usize = 16_000_000;
/// Longest text or byte string in a batch payload, in bytes.
pub const MAX_BATCH_TEXT_BYTES: usize = 1024 * 1024;
/// Most entries of one list or map in a batch payload.
pub const MAX_BATCH_LIST: usize = 1_000_000;
/// Deepest nesting of lists and maps in a batch payload.
pub const MAX_BATCH_DEPTH: usize = 24;
/// A file below this many bytes is trivial: equal bytes say nothing about where they came from.
pub const TRIVIAL_BYTES: u64 = 256;
/// Largest index file of git that is read, in bytes.
pub const MAX_GIT_INDEX_BYTES: u64 = 4 * GIB;
