// The C library of the platform, under one name.
#if canImport(Glibc)
    @_exported public import Glibc
#elseif canImport(Musl)
    @_exported public import Musl
#else
    #error("Baton runs on Linux: it needs SO_PASSCRED, pidfds, memfds and SIOCOUTQ, for which this system has no counterpart")
#endif
