//! One file a verb: plain options in, an outcome out.
