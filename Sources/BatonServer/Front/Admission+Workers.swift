internal import BatonCore

/// The sources of connections that workers have. Used on the front's loop.
extension Admission {
    /// A worker has more or fewer connections of these sources.
    func change(_ changes: [String: Int], of worker: WorkerHandle) {
        for (text, number) in changes {
            let source = IPAddress(text)
            worker.change(source, by: number)
            if number > 0 {
                adopt(from: source, count: number)
            } else {
                release(from: source, count: -number)
            }
        }
    }

    /// A worker is gone, with what it has told of.
    func forget(_ worker: WorkerHandle) {
        for (source, number) in worker.sources { release(from: source, count: number) }
    }
}
