//! Images of the `image` crate.

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use sam_preprocess::{Image, PreprocessError};

fn convert(image: impl Into<DynamicImage>) -> Image {
    let image = image.into();
    let converted = Image::try_from(&image).unwrap();
    assert_eq!(converted, Image::try_from(image).unwrap());
    assert_eq!(converted.size(), (2, 1));
    converted
}

#[test]
fn grey_stays_grey_and_colour_stays_colour() {
    assert_eq!(convert(GrayImage::from_raw(2, 1, vec![3, 250]).unwrap()), Image::new(2, 1, 1, vec![3, 250]).unwrap());
    let rgb = vec![1, 2, 3, 4, 5, 6];
    assert_eq!(convert(RgbImage::from_raw(2, 1, rgb.clone()).unwrap()), Image::new(2, 1, 3, rgb).unwrap());
    // 16 bits: 65535 is 255, 257 is 1.
    let deep: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_raw(2, 1, vec![257u16, 65535]).unwrap();
    assert_eq!(convert(deep), Image::new(2, 1, 1, vec![1, 255]).unwrap());
    let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_pixel(2, 1, Rgb([257u16, 514, 65535]));
    assert_eq!(convert(deep), Image::new(2, 1, 3, vec![1, 2, 255, 1, 2, 255]).unwrap());
}

#[test]
fn alpha_is_laid_over_black() {
    let mut image = RgbaImage::from_pixel(2, 1, Rgba([200, 100, 50, 255]));
    image.put_pixel(1, 0, Rgba([200, 100, 50, 0]));
    assert_eq!(convert(image), Image::new(2, 1, 3, vec![200, 100, 50, 0, 0, 0]).unwrap());
    let mut image = GrayAlphaImage::from_pixel(2, 1, LumaA([200, 255]));
    image.put_pixel(1, 0, LumaA([200, 128]));
    assert_eq!(convert(image), Image::new(2, 1, 1, vec![200, 100]).unwrap());
}

#[test]
fn an_image_without_pixels_is_refused() {
    let error = Image::try_from(DynamicImage::new_rgb8(0, 5)).unwrap_err();
    assert!(matches!(error, PreprocessError::NoPixels { width: 0, height: 5 }));
}

#[test]
fn grey_and_luma() {
    let image = Image::new(1, 2, 3, vec![255, 0, 0, 10, 10, 10]).unwrap();
    assert_eq!(image.to_grey(), Image::new(1, 2, 1, vec![76, 10]).unwrap());
    assert_eq!(image.to_grey().to_rgb().data(), [76, 76, 76, 10, 10, 10]);
    for (width, height, channels, bytes) in [(1, 1, 2, 2), (1, 1, 4, 4), (0, 1, 1, 0), (2, 2, 1, 3)] {
        assert!(Image::new(width, height, channels, vec![0; bytes]).is_none());
    }
}
