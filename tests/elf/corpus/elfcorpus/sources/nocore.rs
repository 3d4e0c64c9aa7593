// A library without any runtime, for a machine that no cross compiler is packaged for.
#![no_core]
#![feature(no_core, lang_items)]
#![allow(internal_features)]
#[lang = "pointee_sized"] pub trait PointeeSized {}
#[lang = "meta_sized"] pub trait MetaSized: PointeeSized {}
#[lang = "sized"] pub trait Sized: MetaSized {}
#[lang = "copy"] pub trait Copy: Sized {}
#[lang = "sync"] pub unsafe trait Sync {}
impl Copy for i32 {}
#[lang = "drop_in_place"] unsafe fn drop_in_place<T: PointeeSized>(_at: *mut T) {}
unsafe impl Sync for i32 {}
extern "C" { fn dep_value(x: i32) -> i32; }
#[no_mangle] pub static EXPORTED: i32 = 3;
#[no_mangle] pub unsafe extern "C" fn probe() -> i32 { dep_value(EXPORTED) }
