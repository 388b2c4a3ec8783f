//! The REST gateway: the only door of the mesh to the outside.
