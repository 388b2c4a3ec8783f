//! Identity and policy: who is let in, and what they may call, as rows of the reliability plan.
