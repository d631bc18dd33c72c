//! Tests of the backend alone.
