//! Every kernel against plain loops in double precision.

mod attention;
mod convolution;
mod gelu;
mod maps;
mod product;
mod reorder;
mod rows;
mod small;
mod support;
