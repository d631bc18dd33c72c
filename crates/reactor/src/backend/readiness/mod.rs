//! The readiness backend.
