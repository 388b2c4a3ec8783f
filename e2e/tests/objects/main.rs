//! Objects of others, and the size of messages, as rows of the reliability plan.
