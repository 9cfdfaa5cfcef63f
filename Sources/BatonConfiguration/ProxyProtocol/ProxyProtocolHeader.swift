package import BatonCore

/// What a load balancer in front says of a connection before its first byte: the PROXY protocol, versions 1 and 2
/// (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt).
///
/// Only TCP over IPv4 and IPv6 names endpoints here. Everything else a sender may say (`UNKNOWN`, `LOCAL`, UDP, Unix
/// sockets) is read correctly and comes out as no endpoints: the caller then goes by the socket's own addresses. Of the
/// extensions (TLVs) of version 2 the unique ID is read; the others are what this server itself has to say, so a
/// sender's are skipped.
package struct ProxyProtocolHeader: Hashable, Sendable {
    /// The two ends of the connection as the sender saw them.
    package struct Endpoints: Hashable, Sendable {
        /// The client.
        package var source: Endpoint
        /// The address that the client connected to. Of the same family as the source.
        package var destination: Endpoint

        /// Creates the pair.
        package init(source: Endpoint, destination: Endpoint) {
            self.source = source
            self.destination = destination
        }
    }

    /// The ends of the connection; nil when the sender does not tell, as in its health checks.
    package var endpoints: Endpoints?

    /// What else is told in version 2.
    package var extensions: Extensions

    /// Creates a header.
    package init(endpoints: Endpoints?, extensions: Extensions = Extensions()) {
        self.endpoints = endpoints
        self.extensions = extensions
    }
}

extension ProxyProtocolHeader {
    /// A version of the protocol.
    package enum Version: String, Hashable, Sendable, CaseIterable {
        /// The text form.
        case v1
        /// The binary form.
        case v2
    }

    /// What the first bytes of a connection turned out to be.
    package enum Reading: Hashable, Sendable {
        /// All bytes so far fit a header, and more are needed.
        case incomplete
        /// A header that took this many bytes; what follows belongs to the connection.
        case complete(ProxyProtocolHeader, length: Int)
    }

    /// The version 2 header without its endpoints and extensions; what remains is at most 65535 bytes.
    static let v2FixedLength = 16

    /// The longest version 1 line with its CR LF, from the specification's section 2.1.
    static let v1Limit = 107

    /// Reads a header from the bytes that have arrived so far, without consuming them. A header is required: bytes that
    /// cannot begin one are refused at once, as the specification's section 2 demands, since whoever could leave it out
    /// could also forge it.
    ///
    /// - Parameters:
    ///   - bytes: everything received so far.
    ///   - versions: the versions to accept.
    ///   - limit: the most bytes that a version 2 header may take with its extensions, at least 232.
    /// - Throws: `ProxyProtocolError`; the connection is then to be closed without an answer.
    package static func read(
        _ bytes: RawSpan, accepting versions: Set<Version> = [.v1, .v2], limit: Int = 4096
    ) throws(ProxyProtocolError) -> Reading {
        guard bytes.byteCount > 0 else { return .incomplete }
        switch bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) {
        case UInt8(ascii: "P") where versions.contains(.v1): return try readV1(bytes)
        case 0x0D where versions.contains(.v2): return try readV2(bytes, limit: limit)
        default: throw .notProxyProtocol
        }
    }

    /// The header as bytes. A pair of different families is written in IPv6, the IPv4 address mapped (RFC 4291 section
    /// 2.5.5.2); an IPv4-mapped pair is written in IPv4.
    package func encoded(_ version: Version) -> [UInt8] {
        switch version {
        case .v1: encodedV1()
        case .v2: encodedV2()
        }
    }

    /// The endpoints in one family.
    var uniform: Endpoints? {
        guard var ends = endpoints else { return nil }
        ends.source.address = ends.source.address.unmapped
        ends.destination.address = ends.destination.address.unmapped
        switch (ends.source.address, ends.destination.address) {
        case (.v4, .v4), (.v6, .v6): break
        default:
            ends.source.address = ends.source.address.mapped
            ends.destination.address = ends.destination.address.mapped
        }
        return ends
    }
}
