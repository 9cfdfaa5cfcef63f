internal import BatonCore

/// The fields of a snapshot while they are being read. What has been read is zeroed when reading fails, because each
/// part zeroes itself.
struct SnapshotParts: ~Copyable {
    private var role: Role?
    private var suite: CipherSuite?
    private var readSecret: SecretBytes?
    private var readSequence: UInt64 = 0
    private var writeSecret: SecretBytes?
    private var writeSequence: UInt64 = 0
    private var writeExplicitNonce: UInt64?
    private var writeBlocks: UInt64 = 0
    private var exporter: SecretBytes?
    private var resumption: SecretBytes?
    private var serverName: String?
    private var applicationProtocol: String?
    private var peerCertificate: [UInt8]?
    private var peerSubject: String?
    private var peerNames: [AlternativeName]?
    private var peerChain: [[UInt8]]?
    private var verifiedChain: [[UInt8]]?
    private var verifyResult: Int32?
    private var flags: SnapshotFlags = []
    private var ticketKeyName: [UInt8]?
    private var sizeLimits: UInt32?
    private var blocksPerKey: UInt64?
    private var progress = Progress()

    private init() {}

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(SnapshotError) -> Snapshot {
        var parts = SnapshotParts()
        try parts.read(bytes)
        return try parts.assemble()
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        guard bytes.count <= Snapshot.longest else { throw .tooLong }
        let begins = Snapshot.magic.withUTF8Buffer { magic in
            bytes.count > magic.count && bytes.prefix(magic.count).elementsEqual(magic)
        }
        guard begins else { throw .notASnapshot }
        let version = bytes[Snapshot.magic.utf8CodeUnitCount]
        guard Snapshot.readableVersions.contains(version) else { throw .unsupportedVersion(version) }
        var reader = FieldReader(UnsafeRawBufferPointer(rebasing: bytes[(Snapshot.magic.utf8CodeUnitCount + 1)...]))
        while let field = try SnapshotParts.next(&reader) {
            guard let known = SnapshotField(rawValue: field.tag) else {
                guard field.tag & SnapshotField.ignorable != 0 else { throw .unknownField(field.tag) }
                continue
            }
            guard take(known, field) else { throw .invalidField(field.tag) }
        }
    }

    private static func next(_ reader: inout FieldReader) throws(SnapshotError) -> FieldReader.Field? {
        do {
            return try reader.next()
        } catch {
            switch error {
            case .cutOff: throw .cutOff
            case .outOfOrder(let tag): throw .fieldOutOfOrder(tag)
            }
        }
    }

    /// Takes one field; `false` if its length or value is impossible by itself.
    private mutating func take(_ known: SnapshotField, _ field: FieldReader.Field) -> Bool {
        switch known {
        case .role: return Self.set(&role, field.integer(UInt8.self).flatMap(Role.init))
        case .suite: return Self.set(&suite, field.integer(UInt16.self).flatMap(CipherSuite.init))
        case .readSecret: return Self.take(&readSecret, field)
        case .writeSecret: return Self.take(&writeSecret, field)
        case .exporter: return Self.take(&exporter, field)
        case .resumption: return Self.take(&resumption, field)
        case .readSequence: return Self.setNonZero(&readSequence, field)
        case .writeSequence: return Self.setNonZero(&writeSequence, field)
        case .writeExplicitNonce: return Self.set(&writeExplicitNonce, field.integer(UInt64.self))
        case .writeBlocks: return Self.setNonZero(&writeBlocks, field)
        case .serverName: return Self.set(&serverName, field.string(1...255))
        case .applicationProtocol: return Self.set(&applicationProtocol, field.string(1...255))
        case .peerCertificate: return Self.set(&peerCertificate, field.value.count == 32 ? Array(field.value) : nil)
        case .peerSubject: return Self.set(&peerSubject, field.string(0...1024))
        case .verifyResult: return Self.set(&verifyResult, field.integer(Int32.self))
        case .flags:
            guard let raw = field.integer(UInt8.self), raw != 0 else { return false }
            flags = SnapshotFlags(rawValue: raw)
            return flags.isSubset(of: .all)
        case .ticketKeyName: return Self.set(&ticketKeyName, field.value.count == 16 ? Array(field.value) : nil)
        case .sizeLimits: return Self.set(&sizeLimits, field.integer(UInt32.self))
        case .blocksPerKey: return Self.set(&blocksPerKey, field.integer(UInt64.self))
        case .counters:
            guard field.value.count == 4 else { return false }
            progress.counters = Counters(
                emptyRecords: field.value[0], warnings: field.value[1], messages: field.value[2],
                renegotiations: field.value[3])
            return progress.counters != Counters()
        case .paidKeyUpdates:
            progress.counters.paidKeyUpdates = field.integer(UInt32.self) ?? 0
            return progress.counters.paidKeyUpdates != 0
        case .peerNames: return Self.set(&peerNames, AlternativeName.decode(field.value))
        case .peerChain: return Self.set(&peerChain, PeerCertificate.decode(field.value))
        case .verifiedChain: return Self.set(&verifiedChain, PeerCertificate.decode(field.value))
        case .failure:
            guard (1...2).contains(field.value.count), let code = TLSError.Code(rawValue: field.value[0]),
                TLSError(code).fault == .peer
            else { return false }
            progress.failure = TLSError(code, alert: field.value.count == 2 ? Alert(rawValue: field.value[1]) : nil)
            return true
        case .unread:
            // The plaintext takes the place its record had, without header and tag.
            progress.inbound.append(field.value)
            progress.unread = UnreadPlaintext(recordLength: field.value.count, offset: 0, count: field.value.count)
            return !field.value.isEmpty
        case .inbound:
            progress.inbound.append(field.value)
            return !field.value.isEmpty
        case .handshake:
            progress.handshake.append(field.value)
            return !field.value.isEmpty
        case .outgoing:
            progress.outgoing.append(field.value)
            return !field.value.isEmpty
        }
    }

    private static func set<T>(_ target: inout T?, _ value: T?) -> Bool {
        target = value
        return value != nil
    }

    private static func setNonZero(_ target: inout UInt64, _ field: FieldReader.Field) -> Bool {
        target = field.integer(UInt64.self) ?? 0
        return target != 0
    }

    private static func take(_ target: inout SecretBytes?, _ field: FieldReader.Field) -> Bool {
        guard (1...128).contains(field.value.count) else { return false }
        target = SecretBytes(copying: field.value.bytes)
        return true
    }

    /// The snapshot, if all that must be there is and nothing contradicts.
    private consuming func assemble() throws(SnapshotError) -> Snapshot {
        guard let role else { throw .missingField(SnapshotField.role.rawValue) }
        guard let suite else { throw .missingField(SnapshotField.suite.rawValue) }
        guard let readSecret = readSecret.take() else { throw .missingField(SnapshotField.readSecret.rawValue) }
        guard let writeSecret = writeSecret.take() else { throw .missingField(SnapshotField.writeSecret.rawValue) }
        if suite.usesExplicitNonce && writeExplicitNonce == nil {
            throw .missingField(SnapshotField.writeExplicitNonce.rawValue)
        }
        if !suite.usesExplicitNonce && writeExplicitNonce != nil {
            throw .contradiction(SnapshotField.writeExplicitNonce.rawValue)
        }
        if peerSubject != nil && peerCertificate == nil {
            throw .missingField(SnapshotField.peerCertificate.rawValue)
        }
        if peerCertificate != nil && peerSubject == nil { throw .missingField(SnapshotField.peerSubject.rawValue) }
        if peerCertificate == nil && (peerNames != nil || peerChain != nil || verifiedChain != nil) {
            throw .missingField(SnapshotField.peerCertificate.rawValue)
        }
        progress.isReadClosed = flags.contains(.readClosed)
        progress.isWriteClosed = flags.contains(.writeClosed)
        progress.owesKeyUpdate = flags.contains(.owesKeyUpdate)
        let info = ConnectionInfo(
            role: role, suite: suite, serverName: serverName, applicationProtocol: applicationProtocol,
            peerCertificate: peerCertificate.map {
                PeerCertificate(
                    sha256: $0, subject: peerSubject ?? "", alternativeNames: peerNames ?? [], chain: peerChain ?? [],
                    verifiedChain: verifiedChain ?? [])
            },
            verifyResult: verifyResult, isResumed: flags.contains(.resumed),
            usesExtendedMasterSecret: flags.contains(.extendedMasterSecret), ticketKeyName: ticketKeyName)
        let snapshot = Snapshot(
            info: info, limits: limits(suite.version),
            read: DirectionState(secret: readSecret, sequence: readSequence),
            write: DirectionState(
                secret: writeSecret, sequence: writeSequence, explicitNonce: writeExplicitNonce ?? 0,
                blocks: writeBlocks),
            exporter: exporter.take(), resumption: resumption.take(), progress: progress)
        if let field = snapshot.firstImpossibility { throw .contradiction(field.rawValue) }
        return snapshot
    }

    private borrowing func limits(_ version: TLSVersion) -> RecordLimits {
        guard let sizeLimits else { return RecordLimits(version, blocksPerKey: blocksPerKey) }
        return RecordLimits(
            sending: Int(sizeLimits >> 16), receiving: Int(sizeLimits & 0xFFFF), blocksPerKey: blocksPerKey)
    }
}
