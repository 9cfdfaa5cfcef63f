internal import Handoff
internal import TLSRecords

/// What is known of a relay beside its two connections. The arena keeps it, so that whoever adopts the relay can list it,
/// count it and move it.
struct RelayNote {
    var metadata: ParcelMetadata
    /// What there is to show of the client's TLS; `nil` without.
    var security: Security?

    struct Security: Equatable {
        /// SNI.
        var serverName: String?
        /// ALPN.
        var applicationProtocol: String?
        var version: String
        var cipher: String
        /// Of the client's certificate, if it is to be told.
        var subject: String?

        init(_ info: ConnectionInfo) {
            serverName = info.serverName
            applicationProtocol = info.applicationProtocol
            version = "\(info.suite.version)"
            cipher = "\(info.suite)"
        }

        fileprivate init?(_ annotations: inout [String: [UInt8]]) {
            guard let version = annotations.takeText(Name.version), let cipher = annotations.takeText(Name.cipher)
            else { return nil }
            self.version = version
            self.cipher = cipher
            serverName = annotations.takeText(Name.serverName)
            applicationProtocol = annotations.takeText(Name.applicationProtocol)
            subject = annotations.takeText(Name.subject)
        }

        fileprivate func write(to annotations: inout [String: [UInt8]]) {
            annotations[Name.version] = Array(version.utf8)
            annotations[Name.cipher] = Array(cipher.utf8)
            annotations[Name.serverName] = serverName.map { Array($0.utf8) }
            annotations[Name.applicationProtocol] = applicationProtocol.map { Array($0.utf8) }
            annotations[Name.subject] = subject.map { Array($0.utf8) }
        }
    }

    private enum Name {
        static let version = "version"
        static let cipher = "cipher"
        static let serverName = "name"
        static let applicationProtocol = "alpn"
        static let subject = "subject"
    }

    /// The most bytes of a subject that are kept: as many as the access log shows.
    private static let longestSubject = 300

    /// - Parameter tellsSubject: whether the subject of the client's certificate is kept, which only the access log tells.
    init(_ metadata: ParcelMetadata, _ info: ConnectionInfo?, tellsSubject: Bool = false) {
        self.metadata = metadata
        security = info.map(Security.init)
        if tellsSubject, let subject = info?.peerCertificate?.subject {
            security?.subject = String(decoding: subject.utf8.prefix(Self.longestSubject), as: UTF8.self)
        }
    }

    /// Reads what `encoded` wrote. The memory it comes from may be anything after a wild write; `nil` if it is no note.
    init?(_ bytes: [UInt8]) {
        guard let metadata = try? bytes.withUnsafeBytes({ bytes in try Parcel.decode(bytes).metadata }) else {
            return nil
        }
        self.metadata = metadata
        security = Security(&self.metadata.annotations)
    }

    /// A parcel of nothing but metadata.
    ///
    /// - Throws: if the metadata is beyond a parcel's limits.
    func encoded() throws -> [UInt8] {
        var metadata = self.metadata
        security?.write(to: &metadata.annotations)
        let parcel = Parcel(metadata: metadata)
        return try parcel.encoded().withBytes { Array($0) }
    }
}

extension [String: [UInt8]] {
    fileprivate mutating func takeText(_ name: String) -> String? {
        removeValue(forKey: name).map { String(decoding: $0, as: UTF8.self) }
    }
}
