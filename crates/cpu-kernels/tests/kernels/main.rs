//! Every kernel against plain loops in double precision.

mod gelu;
mod product;
mod support;
