//! Truncated and randomised singular value decompositions with error certificates, rank selection and a basis cache.
