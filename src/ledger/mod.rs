//! Events, batches and the rules over them, as pure functions.
