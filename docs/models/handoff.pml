/* The ownership protocol between processes of one machine: an owner that offers a batch of two parcels to one receiver
   and, what comes back, to a second. The channels are Unix sockets: reliable, in order, and what was sent before the
   end is read before the end. Any process may die at any step; the owner may lose patience at any step.

   Per parcel, bits of a mask: bit 0 and bit 1. `may` says who may encrypt. `position` is how many bytes a connection's
   socket has taken; it is shared, as the socket is.

   spin -a docs/models/handoff.pml && cc -O2 -o pan pan.c
   ./pan -a -N one && ./pan -a -N fresh && ./pan -a -N some
   With -DLOSE_CANCEL (to spin) the owner takes back without a word, and `one` fails: that is what a cancel is for, and
   why a connection is closed when its cancel cannot be sent. */

#define BOTH 3
mtype = { OFFER, ACCEPT, DECLINE, COMMIT, CANCEL, END };

chan toReceiver[2] = [6] of { mtype, byte };
chan toOwner[2] = [6] of { mtype, byte };

byte ownerMay = BOTH;
byte receiverMay[2];
byte offered[2];               /* the mask offered to each receiver */
byte noted[2];                 /* the positions in that offer, two bits a parcel */
byte position;                 /* two bits a parcel: how often it was written to, at most 2 */
bool ownerAlive = true, crashed = false, ownerDone = false, stale = false;
bool receiverDone[2];

#define POSITION(mask) (position & (((mask & 1) -> 3 : 0) | ((mask & 2) -> 12 : 0)))

inline write(mask) {
  if
  :: (mask & 1) && (position & 3) < 2 -> position = position + 1
  :: (mask & 2) && (position >> 2) < 2 -> position = position + 4
  :: else
  fi
}

inline die() { ownerAlive = false; ownerMay = 0; crashed = true;
               toReceiver[0]!END(0); toReceiver[1]!END(0) }

active proctype Owner() {
  mtype m;
  byte accepted, n = 0;
  do
  :: n < 2 && ownerMay != 0 ->
       atomic { offered[n] = ownerMay; noted[n] = POSITION(ownerMay); ownerMay = 0;
                toReceiver[n]!OFFER(offered[n]) }
       do
       :: atomic { toOwner[n]?m(accepted) ->
            if
            :: m == ACCEPT ->
                 if
                 :: !receiverDone[n] -> toReceiver[n]!COMMIT(accepted);
                      ownerMay = offered[n] & (BOTH ^ accepted)   /* the rest was declined */
                 :: else -> ownerMay = offered[n]                 /* nobody to send it to */
                 fi
            :: m == DECLINE || m == END -> ownerMay = offered[n]
            fi }
          break
       :: true ->                                                 /* the time limit */
#ifndef LOSE_CANCEL
            toReceiver[n]!CANCEL(0);
#endif
            atomic { ownerMay = offered[n] }
            break
       :: atomic { true -> die() } goto dead
       od;
       if :: atomic { ownerMay != 0 -> write(ownerMay) } :: true fi;
       n++
  :: else -> break
  od;
  ownerDone = true;
  if :: atomic { true -> die() } :: true fi;
dead: skip
}

proctype Receiver(byte me) {
  mtype m;
  byte mask, holds = 0;
  do
  :: atomic { toReceiver[me]?m(mask) ->
       if
       :: m == OFFER ->
            if
            :: holds = mask                                       /* all */
            :: holds = mask & 1                                   /* or some */
            :: holds = mask & 2
            :: holds = 0
            fi;
            if
            :: holds != 0 -> toOwner[me]!ACCEPT(holds)
            :: else -> toOwner[me]!DECLINE(0)
            fi
       :: m == COMMIT -> assert(holds == mask);
            stale = stale || POSITION(holds) != (noted[me] & (((holds & 1) -> 3 : 0) | ((holds & 2) -> 12 : 0)));
            receiverMay[me] = holds; holds = 0
       :: m == CANCEL -> holds = 0
       :: m == END ->                                             /* adopt only with proof, parcel by parcel */
            if
            :: !ownerAlive ->
                 if :: (holds & 1) && (position & 3) == (noted[me] & 3) -> receiverMay[me] = receiverMay[me] | 1
                    :: else fi;
                 if :: (holds & 2) && (position & 12) == (noted[me] & 12) -> receiverMay[me] = receiverMay[me] | 2
                    :: else fi
            :: else
            fi;
            holds = 0; receiverDone[me] = true; break
       fi }
  :: atomic { receiverMay[me] != 0 -> write(receiverMay[me]) }
  :: atomic { true -> receiverMay[me] = 0; holds = 0; crashed = true; receiverDone[me] = true;
              toOwner[me]!END(0); break }                /* dies */
  :: atomic { ownerDone && len(toReceiver[me]) == 0 -> break }
  od
}

init { atomic { run Receiver(0); run Receiver(1) } }

/* At most one holder may encrypt each parcel. */
ltl one   { [] ((ownerMay & receiverMay[0]) == 0 && (ownerMay & receiverMay[1]) == 0
                && (receiverMay[0] & receiverMay[1]) == 0) }
/* Nobody resumes a connection that was written to since its offer. */
ltl fresh { [] !stale }
/* Without a crash each parcel has a holder once all is read. */
ltl some  { [] ((ownerDone && !crashed && len(toReceiver[0]) == 0 && len(toReceiver[1]) == 0)
                -> ((ownerMay | receiverMay[0] | receiverMay[1]) == BOTH)) }
