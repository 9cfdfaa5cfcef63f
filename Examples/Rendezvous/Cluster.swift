/// The fronts, and which of them owns a token.
///
/// The rule is rendezvous hashing: each front gets a number made of its name and the token, and the greatest wins. So every
/// front knows the owner without asking anybody, and when one is added to the list or taken away only its own tokens change
/// their owner.
struct Cluster: Sendable {
    /// This process's own name.
    let front: String
    let fronts: [String]
    private let directory: String

    init(front: String, fronts: [String], directory: String) {
        self.front = front
        self.fronts = fronts
        self.directory = directory
    }

    func owner(of token: String) -> String {
        let ranked = fronts.map { (Self.score($0, token), $0) }
        return ranked.max { $0 < $1 }?.1 ?? front
    }

    /// Where the others hand connections to a front.
    func handoffPath(of front: String) -> String { "\(directory)/\(front).handoff" }

    /// Where this front's next process takes over from it.
    var successionPath: String { "\(directory)/\(front).succession" }

    /// FNV-1a, and a last mix that makes one changed letter change all bits. Swift's own hash differs in each process.
    private static func score(_ front: String, _ token: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in Array(front.utf8) + [0] + Array(token.utf8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
