//! Who may call what: the reviewed policy file, its decision and everything rendered from it.
