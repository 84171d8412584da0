;; The inner loops of XXH3-64 (seed 0, default secret) over memory that the caller reads into: see xxh3.ts.
;; Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, "XXH3 Algorithm Overview", large inputs.
;;
;; Memory: the secret at 0 (192 bytes), eight accumulators of 64 bits at 256; see xxh3.ts for the rest. `scripts/wasm.ts` makes
;; xxh3-wasm.ts of it.
(module
  (memory (export "memory") 1)

  ;; kSecret, the default secret
  (data (i32.const 0)
    "\b8\fe\6c\39\23\a4\4b\be\7c\01\81\2c\f7\21\ad\1c\de\d4\6d\e9\83\90\97\db\72\40\a4\a4\b7\b3\67\1f"
    "\cb\79\e6\4e\cc\c0\e5\78\82\5a\d0\7d\cc\ff\72\21\b8\08\46\74\f7\43\24\8e\e0\35\90\e6\81\3a\26\4c"
    "\3c\28\52\bb\91\c3\00\cb\88\d0\65\8b\1b\53\2e\a3\71\64\48\97\a2\0d\f9\4e\38\19\ef\46\a9\de\ac\d8"
    "\a8\fa\76\3f\e3\9c\34\3f\f9\dc\bb\c7\c7\0b\4f\1d\8a\51\e0\4b\cd\b4\59\31\c8\9f\7e\c9\d9\78\73\64"
    "\ea\c5\ac\83\34\d3\eb\c3\c5\81\a0\ff\fa\13\63\eb\17\0d\dd\51\b7\f0\da\49\d3\16\55\26\29\d4\68\9e"
    "\2b\16\be\58\7d\47\a1\fc\8f\f8\b8\d1\7a\d0\31\ce\45\cb\3a\8f\95\16\04\28\af\d7\fb\ca\bb\4b\40\7e")

  ;; Takes the stripes of 64 bytes in [$at, $end), at least one; $secret moves on by 8 bytes with each. A lane adds its data
  ;; to its neighbour and the product of its key's halves to itself: what goes to the neighbours is summed up apart and
  ;; swapped once at the end, as sums may be taken in any order.
  (func $stripes (export "stripes") (param $at i32) (param $end i32) (param $secret i32)
    (local $acc0 v128) (local $acc1 v128) (local $acc2 v128) (local $acc3 v128)
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)
    (local $data v128) (local $key v128)
    (local.set $acc0 (v128.load offset=256 (i32.const 0)))
    (local.set $acc1 (v128.load offset=272 (i32.const 0)))
    (local.set $acc2 (v128.load offset=288 (i32.const 0)))
    (local.set $acc3 (v128.load offset=304 (i32.const 0)))
    (loop $next
      (local.set $data (v128.load offset=0 (local.get $at)))
      (local.set $key (v128.xor (local.get $data) (v128.load offset=0 (local.get $secret))))
      (local.set $sum0 (i64x2.add (local.get $sum0) (local.get $data)))
      (local.set $acc0 (i64x2.add (local.get $acc0) (i64x2.extmul_low_i32x4_u
        (i8x16.shuffle 0 1 2 3 8 9 10 11 0 1 2 3 8 9 10 11 (local.get $key) (local.get $key))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 4 5 6 7 12 13 14 15 (local.get $key) (local.get $key)))))
      (local.set $data (v128.load offset=16 (local.get $at)))
      (local.set $key (v128.xor (local.get $data) (v128.load offset=16 (local.get $secret))))
      (local.set $sum1 (i64x2.add (local.get $sum1) (local.get $data)))
      (local.set $acc1 (i64x2.add (local.get $acc1) (i64x2.extmul_low_i32x4_u
        (i8x16.shuffle 0 1 2 3 8 9 10 11 0 1 2 3 8 9 10 11 (local.get $key) (local.get $key))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 4 5 6 7 12 13 14 15 (local.get $key) (local.get $key)))))
      (local.set $data (v128.load offset=32 (local.get $at)))
      (local.set $key (v128.xor (local.get $data) (v128.load offset=32 (local.get $secret))))
      (local.set $sum2 (i64x2.add (local.get $sum2) (local.get $data)))
      (local.set $acc2 (i64x2.add (local.get $acc2) (i64x2.extmul_low_i32x4_u
        (i8x16.shuffle 0 1 2 3 8 9 10 11 0 1 2 3 8 9 10 11 (local.get $key) (local.get $key))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 4 5 6 7 12 13 14 15 (local.get $key) (local.get $key)))))
      (local.set $data (v128.load offset=48 (local.get $at)))
      (local.set $key (v128.xor (local.get $data) (v128.load offset=48 (local.get $secret))))
      (local.set $sum3 (i64x2.add (local.get $sum3) (local.get $data)))
      (local.set $acc3 (i64x2.add (local.get $acc3) (i64x2.extmul_low_i32x4_u
        (i8x16.shuffle 0 1 2 3 8 9 10 11 0 1 2 3 8 9 10 11 (local.get $key) (local.get $key))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 4 5 6 7 12 13 14 15 (local.get $key) (local.get $key)))))
      (local.set $secret (i32.add (local.get $secret) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (v128.store offset=256 (i32.const 0) (i64x2.add (local.get $acc0)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $sum0) (local.get $sum0))))
    (v128.store offset=272 (i32.const 0) (i64x2.add (local.get $acc1)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $sum1) (local.get $sum1))))
    (v128.store offset=288 (i32.const 0) (i64x2.add (local.get $acc2)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $sum2) (local.get $sum2))))
    (v128.store offset=304 (i32.const 0) (i64x2.add (local.get $acc3)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $sum3) (local.get $sum3)))))

  ;; Takes the blocks of 1024 bytes in [$at, $end), at least one: sixteen stripes, then a scramble.
  (func (export "blocks") (param $at i32) (param $end i32)
    (local $acc v128) (local $prime v128)
    (local.set $prime (v128.const i64x2 0x9E3779B1 0x9E3779B1))
    (loop $next
      (call $stripes (local.get $at) (i32.add (local.get $at) (i32.const 1024)) (i32.const 0))
      (local.set $acc (v128.load offset=256 (i32.const 0)))
      (v128.store offset=256 (i32.const 0) (i64x2.mul (local.get $prime) (v128.xor
        (v128.xor (local.get $acc) (i64x2.shr_u (local.get $acc) (i32.const 47)))
        (v128.load offset=128 (i32.const 0)))))
      (local.set $acc (v128.load offset=272 (i32.const 0)))
      (v128.store offset=272 (i32.const 0) (i64x2.mul (local.get $prime) (v128.xor
        (v128.xor (local.get $acc) (i64x2.shr_u (local.get $acc) (i32.const 47)))
        (v128.load offset=144 (i32.const 0)))))
      (local.set $acc (v128.load offset=288 (i32.const 0)))
      (v128.store offset=288 (i32.const 0) (i64x2.mul (local.get $prime) (v128.xor
        (v128.xor (local.get $acc) (i64x2.shr_u (local.get $acc) (i32.const 47)))
        (v128.load offset=160 (i32.const 0)))))
      (local.set $acc (v128.load offset=304 (i32.const 0)))
      (v128.store offset=304 (i32.const 0) (i64x2.mul (local.get $prime) (v128.xor
        (v128.xor (local.get $acc) (i64x2.shr_u (local.get $acc) (i32.const 47)))
        (v128.load offset=176 (i32.const 0)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1024)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))))
