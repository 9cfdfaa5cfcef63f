import BatonCore

/// One nf_tables transaction that adds elements to sets and maps of Baton's table and removes others.
///
/// Its bytes are what the kernel's nfnetlink takes: netlink messages in host byte order whose attributes nest.
struct SetElementBatch {
    /// The most elements of one message, whose attribute lengths are 16 bits.
    private static let elementsPerMessage = 500

    private let table: String
    private var messages: [UInt8] = []
    private var sequence: UInt32 = 1

    var isEmpty: Bool { messages.isEmpty }

    init(table: String) {
        self.table = table
    }

    /// Adds `keys` with `value` as their data if the set is a map. Present elements are left as they are; in a map the
    /// value must be the same.
    mutating func add(_ keys: [[UInt8]], value: [UInt8]? = nil, to set: String) {
        // NFT_MSG_NEWSETELEM, NLM_F_CREATE
        append(12, flags: 0x400, set, keys, value)
    }

    /// Removes `keys`, which must be present.
    mutating func remove(_ keys: [[UInt8]], from set: String) {
        // NFT_MSG_DELSETELEM
        append(14, flags: 0, set, keys, nil)
    }

    /// The transaction, framed (NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END).
    func bytes() -> [UInt8] {
        SetElementBatch.message(type: 0x10, flags: 0, sequence: 0, family: 0, resource: 10, [])
            + messages
            + SetElementBatch.message(type: 0x11, flags: 0, sequence: sequence, family: 0, resource: 10, [])
    }

    private mutating func append(
        _ operation: UInt16, flags: UInt16, _ set: String, _ keys: [[UInt8]], _ value: [UInt8]?
    ) {
        for start in stride(from: 0, to: keys.count, by: SetElementBatch.elementsPerMessage) {
            let part = keys[start..<min(start + SetElementBatch.elementsPerMessage, keys.count)]
            var elements: [UInt8] = []
            for key in part {
                // NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_DATA, each holding NFTA_DATA_VALUE; in NFTA_LIST_ELEM.
                var element = Attribute.nested(1, Attribute.plain(1, key))
                if let value { element += Attribute.nested(2, Attribute.plain(1, value)) }
                elements += Attribute.nested(1, element)
            }
            // NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS
            let body = Attribute.text(1, table) + Attribute.text(2, set) + Attribute.nested(3, elements)
            // NFNL_SUBSYS_NFTABLES in the type's high byte; NFPROTO_NETDEV
            messages += SetElementBatch.message(
                type: 10 << 8 | operation, flags: flags, sequence: sequence, family: 5, resource: 0, body)
            sequence += 1
        }
    }

    /// struct nlmsghdr, struct nfgenmsg, attributes.
    private static func message(
        type: UInt16, flags: UInt16, sequence: UInt32, family: UInt8, resource: UInt16, _ body: [UInt8]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20 + body.count)
        bytes.append(native: UInt32(20 + body.count))
        bytes.append(native: type)
        bytes.append(native: flags | 0x01)  // NLM_F_REQUEST
        bytes.append(native: sequence)
        bytes.append(native: UInt32(0))
        bytes.append(family)
        bytes.append(0)
        bytes.append(bigEndian: resource)
        return bytes + body
    }
}

/// struct nlattr and its value, padded to four bytes.
private enum Attribute {
    static func plain(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + value.count)
        bytes.append(native: UInt16(4 + value.count))
        bytes.append(native: type)
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }

    static func nested(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        plain(type | 0x8000, value)
    }

    static func text(_ type: UInt16, _ value: String) -> [UInt8] {
        plain(type, Array(value.utf8) + [0])
    }
}

extension [UInt8] {
    mutating func append(native value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
    }
}
