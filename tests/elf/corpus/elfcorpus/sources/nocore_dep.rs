// The library that nocore.rs needs.
#![no_core]
#![feature(no_core, lang_items)]
#![allow(internal_features)]
#[lang = "pointee_sized"] pub trait PointeeSized {}
#[lang = "meta_sized"] pub trait MetaSized: PointeeSized {}
#[lang = "sized"] pub trait Sized: MetaSized {}
#[lang = "copy"] pub trait Copy: Sized {}
#[no_mangle] pub extern "C" fn dep_value(_x: i32) -> i32 { 42 }
impl Copy for i32 {}
#[lang = "drop_in_place"] unsafe fn drop_in_place<T: PointeeSized>(_at: *mut T) {}
