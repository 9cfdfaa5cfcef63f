/// Parcels that travel together, in order.
public struct ParcelBatch: ~Copyable, Sendable {
    /// Arrays hold no noncopyable elements; each parcel lives in a box of its own. A box belongs to one batch.
    private final class Box: @unchecked Sendable {
        var parcel: Parcel?

        init(_ parcel: consuming Parcel) {
            self.parcel = consume parcel
        }

        func lend<R, E: Error>(_ body: (borrowing Parcel) throws(E) -> R) throws(E) -> R {
            switch parcel {
            case .some(let parcel): return try body(parcel)
            case .none: preconditionFailure("a box without a parcel")
            }
        }
    }

    private var boxes: [Box] = []

    /// The most bytes a batch may take when it is offered: 1 GiB.
    public static let longest = 1 << 30

    /// An empty batch.
    public init() {}

    /// A batch of one.
    public init(_ parcel: consuming Parcel) {
        append(parcel)
    }

    /// How many parcels there are.
    public var count: Int { boxes.count }

    /// Whether there are none.
    public var isEmpty: Bool { boxes.isEmpty }

    /// Adds `parcel` at the end.
    public mutating func append(_ parcel: consuming Parcel) {
        boxes.append(Box(parcel))
    }

    /// Makes room for `count` parcels.
    public mutating func reserveCapacity(_ count: Int) {
        boxes.reserveCapacity(count)
    }

    /// Takes the last parcel out; `nil` when there is none.
    public mutating func removeLast() -> Parcel? {
        boxes.popLast()?.parcel.take()
    }

    /// Takes all parcels out, in order. `body` does not throw, because what it left would be closed with the batch.
    public consuming func consumeEach(_ body: (consuming Parcel) -> Void) {
        for box in boxes {
            if let parcel = box.parcel.take() { body(parcel) }
        }
    }

    /// Lends the parcel at `index`.
    public borrowing func withParcel<R, E: Error>(
        at index: Int, _ body: (borrowing Parcel) throws(E) -> R
    ) throws(E) -> R {
        try boxes[index].lend(body)
    }

    /// Lends the parcel at `index` to be changed.
    public mutating func withMutableParcel<R, E: Error>(
        at index: Int, _ body: (inout Parcel) throws(E) -> R
    ) throws(E) -> R {
        guard var parcel = boxes[index].parcel.take() else { preconditionFailure("a box without a parcel") }
        do throws(E) {
            let result = try body(&parcel)
            boxes[index].parcel = consume parcel
            return result
        } catch {
            boxes[index].parcel = consume parcel
            throw error
        }
    }

    /// Keeps the parcels at `indices`, which ascend, and destroys the others.
    mutating func keep(_ indices: [Int]) {
        guard indices.count < boxes.count else { return }
        let kept = indices.map { boxes[$0] }
        boxes = kept
    }

    /// Destroys the parcels at `indices`; empty ones stand in their places.
    mutating func clear(_ indices: [Int]) {
        for index in indices { boxes[index].parcel = Parcel() }
    }
}
