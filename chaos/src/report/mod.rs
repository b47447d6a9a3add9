//! The report: one page without scripts and without anything from elsewhere, light or dark as its reader has it.
//!
//! ```text
//!   page      what it is all put into
//!   closeup   violations, first of all, and each from near
//!   timeline  each worker's holds and waits, the faults across
//!   plots     how long an acquire took, how many were granted and written
//!   mutants   that the suite would notice
//!   axis, svg time and numbers to places, and shapes to text
//! ```

mod axis;
mod closeup;
mod mutants;
mod page;
mod plots;
mod svg;
mod timeline;

pub use page::{Beside, page};
