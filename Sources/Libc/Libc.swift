// The C library of the platform, under one name.
#if canImport(Glibc)
    @_exported public import Glibc
#elseif canImport(Musl)
    @_exported public import Musl
#else
    #error("Baton runs on Linux: SO_PASSCRED, pidfds, memfds and SIOCOUTQ have no counterpart on this system")
#endif
