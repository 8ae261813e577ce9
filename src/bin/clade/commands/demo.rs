//! demo.

use crate::args::DemoArgs;
use crate::context::Cx;
use clade::ops;

pub(crate) fn demo(_cx: &Cx, args: &DemoArgs) -> ops::Result<u8> {
    Err(ops::Error::usage(format!("the demo comes with the next commit: {:?}", args.dir)))
}
