internal import CLinuxSockets
internal import CNFTables

/// The packet filter, in process: rules as text through libnftables, set elements straight to the kernel, which takes
/// a tenth of the time of the text.
///
/// It acts in the network namespace of the thread that made it. Not for use from two threads at once.
final class NFTables {
    private let context: OpaquePointer
    private let netlink: Descriptor

    init() throws(MigrationError) {
        let descriptor = Descriptor(owning: try checked(baton_nftables_socket(), "nftables", .steeringRules))
        guard let context = nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
            throw MigrationError(.steeringRules, "libnftables")
        }
        nft_ctx_buffer_error(context)
        nft_ctx_buffer_output(context)
        self.context = context
        netlink = descriptor
    }

    deinit {
        nft_ctx_free(context)
    }

    /// Runs commands as one transaction and returns what they print.
    @discardableResult
    func run(_ commands: String) throws(MigrationError) -> String {
        guard nft_run_cmd_from_buffer(context, commands) == 0 else {
            let text = nft_ctx_get_error_buffer(context).map { String(cString: $0) } ?? ""
            let line = text.split(separator: "\n").first.map(String.init) ?? "libnftables"
            throw MigrationError(line.contains("not permitted") ? .notPermitted : .steeringRules, line)
        }
        return nft_ctx_get_output_buffer(context).map { String(cString: $0) } ?? ""
    }

    /// Applies changes of set elements as one transaction.
    func commit(_ batch: SetElementBatch) throws(MigrationError) {
        guard !batch.isEmpty else { return }
        let bytes = batch.bytes()
        try checked(baton_nftables_commit(netlink.number, bytes, bytes.count), "set elements", .steeringRules)
    }
}
