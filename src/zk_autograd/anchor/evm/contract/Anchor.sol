// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Keeps the tree heads of transparency logs (RFC 9162), so that they can't be taken back.
///
/// Each account that sends has a sequence of its own for each origin. A head is taken only if its
/// tree is larger than the one before and is shown to begin with all of that one's leaves: under
/// one account and origin there is one branch. Nobody owns the contract, and nothing in it can be
/// changed, removed or paid. Where a head lies in storage is said in `slots.py`.
contract Anchor {
    /// What was anchored, when, and the size of the sequence's head before (0: it was the first).
    struct Entry {
        bytes32 root;
        uint64 number; // of the block
        uint64 time; // of the block, POSIX seconds
        uint64 previous;
    }

    /// The size of an account's newest head under an origin; 0 if there is none.
    mapping(address account => mapping(bytes32 origin => uint64 size)) public latest;

    mapping(address account => mapping(bytes32 origin => mapping(uint64 size => Entry))) public entries;

    event Anchored(address indexed account, bytes32 indexed origin, uint64 size, bytes32 root, uint64 previous);

    /// The tree is no larger than the newest one, of `latest` leaves.
    error NotLarger(uint64 latest);

    /// The tree is not shown to begin with the newest one, of `latest` leaves.
    error NotContinued(uint64 latest);

    /// Anchors the head (size, root), which `proof`, RFC 9162 2.1.4.1, leads to from the newest
    /// one; the first head of a sequence has an empty proof.
    function anchor(bytes32 origin, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        uint64 previous = latest[msg.sender][origin];
        if (size <= previous) revert NotLarger(previous);
        if (!continues(previous, entries[msg.sender][origin][previous].root, size, root, proof)) {
            revert NotContinued(previous);
        }
        latest[msg.sender][origin] = size;
        entries[msg.sender][origin][size] = Entry(root, uint64(block.number), uint64(block.timestamp), previous);
        emit Anchored(msg.sender, origin, size, root, previous);
    }

    /// RFC 9162 2.1.4.2, for first < second; every tree continues the empty one.
    function continues(uint64 first, bytes32 firstRoot, uint64 second, bytes32 secondRoot, bytes32[] calldata proof)
        private
        pure
        returns (bool)
    {
        if (first == 0) return proof.length == 0;
        uint64 fn = first - 1;
        uint64 sn = second - 1;
        while ((fn & 1) == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        // Where the first tree is perfect (fn is now 0) the proof leaves its root out.
        uint256 next = fn == 0 ? 0 : 1;
        if (proof.length < next) return false;
        bytes32 fr = fn == 0 ? firstRoot : proof[0];
        bytes32 sr = fr;
        for (; next < proof.length; next++) {
            if (sn == 0) return false;
            if ((fn & 1) == 1 || fn == sn) {
                fr = node(proof[next], fr);
                sr = node(proof[next], sr);
                while ((fn & 1) == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                sr = node(sr, proof[next]);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && fr == firstRoot && sr == secondRoot;
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
