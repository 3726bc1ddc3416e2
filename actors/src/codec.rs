//! Bytes of events and snapshots: protocol-buffer messages, so that fields can be added.
