"""Every custom error of the contracts as a sentence, with the way out.

A template's fields are the error's arguments by name: bytes are shortened, `:credits` shows wei of the token, `:phase`
and `:verdict` the names of enums. A test demands a sentence for every error in the ABIs.
"""

NOTHING = "nothing to do"
WAIT = "nothing to do: the node tries again when it is time"
BUG = "this is a bug of this program or of the contracts: please report it"
MEMBER = "register the peer first: `swarm up` and `swarm join` do so by themselves"
STAKE = "stake more with --stake, or take part with fewer steps"

SENTENCES: dict[str, tuple[str, str]] = {
    # SwarmRegistry
    "SwarmExists": ("swarm {swarm} is on this chain already", "a swarm is created once; join it, or start a new one with --fresh"),
    "SwarmUnknown": ("swarm {swarm} is not on this chain", "check --contracts: it must be the chain on which the swarm was created"),
    "TermOutOfBounds": ("the swarm's term {name} is {actual}, the limit is {limit}", "change the recipe's chain settings"),
    "BootTooLong": ("the boot addresses have {actual} bytes, {limit} fit", "name fewer of them"),
    "PeerUnknown": ("member {key} is not registered", MEMBER),
    "SessionMissing": ("a peer needs a session address", BUG),
    "InviteExpired": ("the invite ended at chain time {expires}, it is {time}", "ask for a new one"),
    "InviteUsed": ("the invite with ticket {ticket} was used by somebody", "every joiner needs an invite of their own"),
    "InviteBySelf": ("operator {operator} invited itself", "an invite must come from another operator"),
    "InviteTwice": ("operator {operator} was invited before", "one invite counts; register without it"),
    "InviterNotMember": ("the inviter {inviter} is no member of the swarm", "ask somebody who is"),
    "SignerWrong": ("the signature is by {actual}, not by {expected}", "the invite was changed on the way or belongs to another chain: ask for a new one"),
    # ParticipationLedger
    "MemberUnknown": ("member {key} is not in the ledger", MEMBER),
    "NotAgent": ("account {caller} is neither session nor operator of member {key}", "the session key was replaced: `swarm identity show` names yours"),
    "NotOperator": ("account {caller} is not the operator of member {key}", "this needs the operator's key, not the session's"),
    "NotPermitted": ("account {caller} may not do this: only another contract may", BUG),
    "WindowClosed": ("it is chain time {time}, and this is allowed from {opens} to {closes}", "too early: the node tries again; too late: it is over for this epoch"),
    "NotLate": ("it is chain time {time}, the commit window is open until {closes}", "commit in the ordinary way"),
    "EpochTaken": ("epoch {epoch} was committed or passed over already; the next one is {next}", NOTHING),
    "StepsExceeded": ("{steps} steps committed, the stake is good for {capacity}", STAKE),
    "UnitsExceeded": ("{units} work units committed, the swarm's limit is {limit} an epoch", BUG),
    "RootMissing": ("a commitment without a root", BUG),
    "HeaderUnknown": ("no such commitment of member {key} for epoch {epoch}", "it was another one, or so long ago that the ledger has forgotten it"),
    "AlreadySettled": ("epoch {epoch} of member {key} was settled", NOTHING),
    "CaseOpen": ("the case about epoch {epoch} of member {key} is open", WAIT),
    "OtherSwarm": ("members {key} and {other} are of different swarms", "name a member of the same swarm"),
    "NothingAccepted": ("member {other} has no accepted state to continue from", "name another one, or none for the base model"),
    # StakeVault
    "StakeTooSmall": ("a stake of {actual:credits} credits, the least is {limit:credits}", "stake more with --stake"),
    "StakeTooLarge": ("a stake of {actual:credits} credits, the most is {limit:credits}", "stake less"),
    "StakeMissing": ("{needed:credits} credits of stake are needed, there are {actual:credits}", "stake more with --stake"),
    "StillUnbonding": ("it is chain time {time}, the stake is released at {releaseAt}", "withdraw after that"),
    "NothingToPay": ("there is nothing to be paid out", NOTHING),
    "ClassMissing": ("a stake needs a determinism class", BUG),
    "ClassChangedTooSoon": ("the class can change again from epoch {earliest} on, this is {epoch}", WAIT),
    "TransferInexact": ("the token moved {actual:credits} credits, not {expected:credits}", "a token with fees on transfers cannot be used as stake"),
    "NotMissed": ("member {key} did not miss its part of R({epoch})", NOTHING),
    # AuditCourt
    "NotSeated": ("member {auditorKey} is not drawn for this panel", NOTHING),
    "BeaconNotReady": ("the randomness of epoch {epoch} is not known yet", WAIT),
    "WrongPhase": ("the case is in phase {actual:phase}, this needs {needed:phase}", "too early: the node tries again; too late: it is over"),
    "WrongLevel": ("the case is at level {actual}, not {given}", NOTHING),
    "VerdictTaken": ("member {auditorKey} has given its verdict", NOTHING),
    "VerdictMismatch": ("the verdict revealed ({actual}) is not the one committed ({committed})", "the salt was lost or changed; the verdict cannot count"),
    "VerdictInvalid": ("{verdict:verdict} is not a verdict that can be given", BUG),
    "StepNotDrawn": ("step {step} was not drawn", "a verdict can only be about a drawn step"),
    "AlreadyChallenged": ("epoch {epoch} of member {key} is challenged already", NOTHING),
    "LastLevel": ("level {level} is the last: nothing follows it", "the verdict stands"),
    "AlreadyFinalized": ("epoch {epoch} of member {key} was finalized", NOTHING),
    "NotClosed": ("the case about epoch {epoch} of member {key} is not closed", WAIT),
    "LeafTooLong": ("a step record of {actual} bytes, {limit} fit", BUG),
    "LeafWrong": ("the step record does not belong to the commitment (it gives root {root})", "the record or its proof was changed on disk"),
    "StepOutOfRange": ("step {step} of an epoch of {steps}", BUG),
    "PlantUnknown": ("no such planted fault: {plant}", "its salt, its steps or its epoch are others than promised"),
    "PlantTaken": ("planted fault {plant} was promised already", NOTHING),
    "PlantTooLate": ("it is chain time {time}, a fault could be promised until {deadline}", "promise it before the epoch's commit window closes"),
    "NothingToOpen": ("there is nothing to open about epoch {epoch} of member {key}", NOTHING),
    "NotAbsent": ("member {auditorKey} missed no duty here", NOTHING),
    "AddressMismatch": ("the contracts are wired to each other wrongly: {actual} instead of {expected}", "deploy all of them together with `swarm chain deploy`"),
    # JudgeAnchor
    "ClaimsOpen": ("it is chain time {time}, claims are paid until {closes}", "sweep after that"),
    "MajorityMissing": ("{actual:credits} of weight anchored these roots, more than {limit:credits} are needed", "the epoch stays undecided, unless others were anchored"),
    "AlreadyFinal": ("epoch {epoch} of swarm {swarm} is final", NOTHING),
    "NotFinal": ("epoch {epoch} of swarm {swarm} has no final tally", "finalize it first; where no half of the weight agreed, nothing can be claimed"),
    "ProofWrong": ("the entry is not in the final tally (it gives root {actual}, not {expected})", "compute the tally again from the log"),
    "AlreadyClaimed": ("the entry of operator {operator} for epoch {epoch} was carried out", NOTHING),
    "PotShort": ("the pot has {actual:credits} credits, {needed:credits} are owed", "claim again when others' slashes were carried out"),
    # Credit
    "FaucetCallExceeded": ("{asked:credits} credits asked of the faucet, it gives {limit:credits} at once", "ask for less"),
    "FaucetAddressExceeded": ("that makes {total:credits} credits of the faucet, one address gets {limit:credits}", "earn or be sent more"),
    # beacons
    "TipMissing": ("member {key} has no hash chain for the beacon", BUG),
    "AlreadyRevealed": ("member {key} has given its part of R({epoch})", NOTHING),
    "PreimageWrong": ("the preimage hashes to {actual}, not {expected}", "the hash chain's secret was lost; a new one counts from the next open epoch"),
    "NoWeight": ("member {key} has no weight in epoch {epoch}", "its stake counts from the next open epoch on"),
    "GenesisIsFixed": ("R(0) is fixed by the swarm's creation", NOTHING),
    "TooEarly": ("it is chain time {time}, the randomness can be taken from {opens} on", WAIT),
    "BlockNotReached": ("block {target} is awaited, this is {current}", WAIT),
    "AlreadyDrawn": ("R({epoch}) is known", NOTHING),
    "PeriodZero": ("a drand chain needs a period", BUG),
    "PublicKeyAtInfinity": ("the drand public key is no key", "check the parameters of the drand chain"),
    "PrecompileMissing": ("this chain lacks the precompiled contract {precompile} that drand's signatures need", "use another randomness on this chain"),
    "PrecompileRefused": ("the precompiled contract {precompile} refused the point", "the signature of the drand round is damaged"),
    "RoundTooEarly": ("drand round {round} is not due: {actual} is before {limit}", WAIT),
    "RoundZero": ("drand has no round 0", BUG),
    "SignatureAtInfinity": ("the signature of the drand round is empty", "fetch the round again"),
    "SignatureInvalid": ("the signature of drand round {round} is wrong", "fetch the round again, from another drand server"),
    # OpenZeppelin
    "ERC20InsufficientBalance": ("account {sender} has {balance:credits} credits and needs {needed:credits}", "get some: on a local or test swarm the faucet gives them"),
    "ERC20InsufficientAllowance": ("{spender} may take {allowance:credits} credits and needs {needed:credits}", "approve the exact amount first"),
    "ERC20InvalidApprover": ("account {approver} cannot approve", BUG),
    "ERC20InvalidReceiver": ("account {receiver} cannot receive credits", BUG),
    "ERC20InvalidSender": ("account {sender} cannot send credits", BUG),
    "ERC20InvalidSpender": ("account {spender} cannot spend credits", BUG),
    "SafeERC20FailedOperation": ("the token {token} refuses the transfer", "is it an ERC-20, and is the balance enough?"),
    "ReentrancyGuardReentrantCall": ("the contract was called from inside itself", BUG),
    "CheckpointUnorderedInsertion": ("the contract's history would go backwards", BUG),
    "SafeCastOverflowedUintDowncast": ("the number {value} does not fit {bits} bits", "give a smaller one"),
    "ECDSAInvalidSignature": ("the signature is not one", "ask for a new invite"),
    "ECDSAInvalidSignatureLength": ("the signature has {length} bytes", "ask for a new invite"),
    "ECDSAInvalidSignatureS": ("the signature is of the other half ({s})", "ask for a new invite"),
    "InvalidShortString": ("a name is too short for the contract", BUG),
    "StringTooLong": ("a name is too long for the contract: {str}", BUG),
}


# Errors that say that what was asked has happened already, or needs nobody any more.
SETTLED = frozenset(name for name, (_, hint) in SENTENCES.items() if hint == NOTHING)
