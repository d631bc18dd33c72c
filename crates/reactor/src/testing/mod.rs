//! Tests with no descriptors, and with the order of events forced.
