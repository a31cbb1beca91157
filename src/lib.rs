//! pixlserv transforms, caches and serves images over HTTP.
